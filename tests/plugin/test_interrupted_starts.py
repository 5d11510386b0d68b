"""Ctrl-C before a run, and in commands of ours, is a word and no traceback."""

from __future__ import annotations

import sys

import pytest

from fasttext2style import cli
from fasttext2style.commands.words import Words
from fasttext2style.plugin.host.run_config import RunConfig
from fasttext2style.plugin.scene.trainer import SceneTrainer


def _interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_command_of_ours_ends_in_a_word(monkeypatch, capsys):
    monkeypatch.setattr(Words, "run", _interrupted)
    monkeypatch.setattr(sys, "argv", ["ft2s", "words"])
    with pytest.raises(SystemExit) as end:
        cli.entrypoint()
    assert end.value.code == 130 and capsys.readouterr().out == "\nInterrupted.\n"


def test_ns_train_ends_in_a_word_while_it_looks_and_while_it_sets_up(monkeypatch, capsys):
    """nerfstudio would show tracebacks, and end the second with exit code 0."""
    monkeypatch.setattr(RunConfig, "check_start", _interrupted)
    config = RunConfig()
    monkeypatch.setattr(SceneTrainer, "config", config, raising=False)
    for part in (config.save_config, SceneTrainer.__new__(SceneTrainer).setup):
        with pytest.raises(SystemExit) as end:
            part()
        assert end.value.code == 130
    assert capsys.readouterr().out == (
        "\nInterrupted: nothing was begun.\n\nInterrupted: the run was being set up, its scene is as it was.\n"
    )
