"""ft2s as typed on a command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FT2S = Path(sys.executable).parent / "ft2s"


def _run(*arguments, cwd, code=0):
    done = subprocess.run(
        [str(FT2S), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"}
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_words_lists_materials_and_colours(tmp_path):
    words = _run("words", cwd=tmp_path).replace("\n", " ").split(", ")
    assert {"gold", "ice", "wood", "red", "blue"} <= {word.strip() for word in words}


def test_demo_styles_the_bear_and_leaves_the_rest(tmp_path):
    said = _run("demo", "--steps", "3", "--size", "64", "--output", tmp_path / "out", cwd=tmp_path)
    results = next((tmp_path / "out" / "bear" / "fasttext2style").iterdir()) / "results"
    assert str(results / "contact_sheet.png") in said.replace("\n", "")
    report = json.loads((results / "report.json").read_text())
    assert report["outside"]["largest_parameter_change"] == 0.0
    assert report["gaussians"]["object"] < report["gaussians"]["scene_before"] / 2


@pytest.mark.parametrize("prompt", ["", "qwrtz plmk"])
def test_demo_refuses_a_sentence_that_says_nothing(tmp_path, prompt):
    said = _run("demo", "--prompt", prompt, "--size", "64", "--output", tmp_path / "out", cwd=tmp_path, code=1)
    assert "Error:" in said
