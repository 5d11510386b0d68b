"""Scripts that no other test runs still name what there is: they import, and say what they are for. What is asked of
eyes that do not know is judged by the right key."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.rglob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(EXAMPLES)))
def test_a_script_imports_all_that_it_names(script, monkeypatch):
    assert imported(script, monkeypatch).__doc__


def imported(script, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
    monkeypatch.chdir(script.parents[1])
    spec = importlib.util.spec_from_file_location(f"example_{script.stem}", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_the_key_of_shuffled_sentences_names_what_each_picture_shows(tmp_path, monkeypatch):
    sheet = imported(EXAMPLES / "train_offline_encoder" / "sheet.py", monkeypatch)
    greys = [number / 8 for number in range(8)]  # a sentence's picture is its own grey
    rows = [{"sentence": f"grey {g}", "sides": torch.full((2, sheet.SIDE, sheet.SIDE, 3), g)} for g in greys]
    sheet.shuffled(rows, sheet.Settings(out=tmp_path, shuffle=1))
    page = np.asarray(Image.open(tmp_path / "shuffled.png"))
    listed = dict(re.findall(r"^(\w)  (.+)$", (tmp_path / "shuffled.txt").read_text(), re.MULTILINE))
    keys = re.findall(r"^picture (\d): (\w)  (.+)$", (tmp_path / "key.txt").read_text(), re.MULTILINE)
    assert len(keys) == len(greys) and [sentence for *_, sentence in keys] != [row["sentence"] for row in rows]
    for number, letter, sentence in keys:
        row, column = divmod(int(number) - 1, sheet.COLUMNS)
        shown = page[row * (sheet.SIDE + 24) + 20, column * (2 * sheet.SIDE + 6) + 20, 0] / 255
        assert listed[letter] == sentence == f"grey {round(8 * shown) / 8}"


def test_the_key_of_shuffled_pictures_names_what_each_result_came_of(tmp_path, monkeypatch):
    make = imported(EXAMPLES / "style_pictures" / "make.py", monkeypatch)
    rows = []
    for number in range(4):
        pixels = np.full((64, 64, 4), 50 * number, np.uint8)
        results = [torch.full((2, make.SIDE, make.SIDE, 3), 50 * number / 255) for _ in range(2)]
        rows.append(make.Row(make.StylePicture(f"grey {number}", pixels), True, results))
    make.shuffled(rows, make.Settings(out=tmp_path, shuffle=1))
    page, key = np.asarray(Image.open(tmp_path / "shuffled.png")), json.loads((tmp_path / "key.json").read_text())
    tile = make.SIDE + make.LINE + make.GAP
    above = [int(page[20, place * (make.SIDE + make.GAP) + 20, 0]) for place in range(4)]
    greys = dict(zip("ABCD", above))
    assert sorted(above) == [0, 50, 100, 150] != above
    for number, letter in key["results"].items():
        row, column = divmod(int(number) - 1, 3)
        shown = page[tile + make.GAP + row * tile + 20, column * (2 * make.SIDE + make.GAP) + 20, 0]
        assert shown == greys[letter]
