"""Runs of one capture, measured alike and shown side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase

from fasttext2style.evaluation.comparison import write_comparison
from fasttext2style.evaluation.settings import EvaluationSettings
from fasttext2style.evaluation.timing import Stopwatch
from fasttext2style.plugin.runs.evaluate import evaluated, open_to_measure
from fasttext2style.scene.files.atomic import check_folder
from fasttext2style.terminal.console import say
from fasttext2style.trust.text import one_line


def compare_runs(paths: Sequence[Path], output: Path | None, settings: EvaluationSettings) -> Path:
    """Evaluate all, and write a table, pictures and JSON; returns their folder.

    Raises:
        ValueError: one of them cannot be evaluated, they have not the same views, or the folder cannot be written.
    """
    output = None if output is None else check_folder(output)
    runs = [open_to_measure(path, settings) for path in paths]
    names = runs[0].photograph_names(settings.split)
    for run in runs[1:]:
        if (others := run.photograph_names(settings.split)) != names:
            alone = sorted({*names} ^ {*others})
            example = f", {alone[0]} is in one of them alone" if alone else ", the order differs"
            raise ValueError(
                f"{runs[0].folder} and {run.folder} have not the same views ({len(names)} and {len(others)}{example}): "
                "compare runs of one capture, with the same `nerfstudio-data` options."
            )
    folder = output or runs[-1].folder / "compared"
    found = {}
    for letter in ascii_uppercase[: len(runs)]:
        run = runs.pop(0)  # its scene need not stay in memory while the next one is measured
        found[f"{letter}: {one_line(str(run.config.method_name))}"] = evaluated(run, settings, Stopwatch())
    table = write_comparison(folder, found)
    say(table)
    say(f"Side by side: {folder / 'comparison.png'}")
    return folder
