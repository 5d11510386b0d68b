"""ft2s as typed on a command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked

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
    done = forked.run("ft2s", "demo", "--steps", "3", "--size", "64", "--output", "out", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = next((tmp_path / "out" / "bear" / "fasttext2style").iterdir()) / "results"
    assert str(results / "contact_sheet.png") in done.stdout.replace("\n", "")
    report = json.loads((results / "report.json").read_text())
    assert report["outside"]["largest_parameter_change"] == 0.0
    assert report["gaussians"]["object"] < report["gaussians"]["scene_before"] / 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--prompt", ""], "The prompt '' is empty"),
        (["--prompt", "qwrtz plmk"], "knows no word of the prompt 'qwrtz plmk'"),
        (["--size", "0"], "--size must be 32 to 2048"),
        (["--steps", "-1"], "--steps must be 1 or more"),
    ],
)
def test_demo_refuses_what_it_cannot_do_before_it_begins(tmp_path, wrong, said):
    done = forked.run("ft2s", "demo", *wrong, "--output", "out", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.startswith("\nError: ") and said in done.stdout
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()
