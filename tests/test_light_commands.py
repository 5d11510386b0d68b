"""Commands that compute nothing start at once: they load neither torch nor the host."""

import os
import subprocess
import sys
import typing

import pytest
import torch

from fasttext2style.cli import Command
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.scene.gaussians import Gaussians

HEAVY = {"torch", "nerfstudio", "viser", "gsplat", "numba", "diffusers", "transformers", "open_clip", "torchvision"}

SCRIPT = """
import sys
from fasttext2style.cli import entrypoint
sys.argv = ["ft2s", *sys.argv[1:]]
try:
    entrypoint()
except SystemExit as end:
    assert not end.code, end.code
loaded = sorted(set(sys.modules) & %r)
assert not loaded, f"loaded {loaded}"
"""


def said_by(*arguments) -> str:
    """What the command prints; fails if it loads anything heavy."""
    command = [sys.executable, "-c", SCRIPT % HEAVY, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout


def names_of_commands() -> list[str]:
    return [typing.get_args(choice)[1].name for choice in typing.get_args(Command)]


def test_help_loads_nothing_heavy():
    said = said_by("--help")
    for name in names_of_commands():
        assert name in said


def test_the_help_of_every_command_loads_nothing_heavy():
    for name in names_of_commands():
        assert "usage: ft2s " + name in said_by(name, "--help")


@pytest.mark.parametrize("words", [["--help"], ["styles", "--help"], ["words"]])
def test_who_has_read_enough_is_told_no_more(words):
    """As `head` has."""
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-c", "from fasttext2style.cli import entrypoint; entrypoint()", *words]
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True)
    os.close(writes)
    assert done.returncode == 1 and not done.stderr


def test_the_words_of_the_embedded_encoder_are_listed_without_loading_it():
    assert {"gold", "ice", "zebra"} <= set(said_by("words").strip().split(", "))


def test_steps_are_listed_without_opening_the_run(tmp_path):
    state = SceneState.from_gaussians(
        Gaussians(*(torch.zeros(shape) for shape in ((3, 3), (3, 4), (3, 3), (3,), (3, 3), (3, 0, 3)))), torch.ones(3)
    )
    before = {"features_dc": state.columns["features_dc"].clone()}
    delta = Delta.of_rows(state.ids, before, {"features_dc": before["features_dc"] + 1})
    History.open(tmp_path / "history").record(delta, "style", prompt="a bear made of gold", seconds=4.0)
    said = said_by("history", "list", tmp_path)
    assert 'edit: style ("a bear made of gold")' in said
    assert "3 Gaussians" in said
    assert '"prompt": "a bear made of gold"' in said_by("history", "show", tmp_path, 1)
