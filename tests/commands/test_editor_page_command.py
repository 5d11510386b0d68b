"""Who types what docs/editor_training.md says gets the training that was measured."""

from __future__ import annotations

import shlex
from pathlib import Path

import tyro

from fasttext2style.commands.editor import Train

ROOT = Path(__file__).parents[2]


def test_the_pages_command_is_the_training_that_the_benchmark_measures(monkeypatch):
    page = (ROOT / "docs" / "editor_training.md").read_text("utf8")
    (command,) = (block for block in page.split("\n\n") if block.startswith("    ft2s editor train toy"))
    words = shlex.split(command.replace("\\\n", " "))
    train = tyro.cli(Train, args=words[3:], config=(tyro.conf.OmitArgPrefixes,))
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "benchmarks"))
    import editor_training as benchmark

    assert train.training == benchmark.OURS
    assert (train.data, train.editor, train.encoder) == ("toy", "tiny", "")
    assert (train.at_most or train.toy.cases, train.toy.data_seed) == (benchmark.CASES, benchmark.DATA_SEED)
