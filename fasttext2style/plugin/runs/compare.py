"""Two runs of one capture, measured alike and shown side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fasttext2style.evaluation.comparison import write_comparison
from fasttext2style.evaluation.settings import EvaluationSettings
from fasttext2style.plugin.runs.evaluate import evaluated
from fasttext2style.plugin.runs.field_run import FieldRun, is_field_run
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.terminal.console import say


def compare_runs(first: Path, second: Path, output: Path | None, settings: EvaluationSettings) -> Path:
    """Evaluate both, and write a table, pictures and JSON; returns their folder.

    Raises:
        ValueError: one of them cannot be evaluated, or they have not the same views.
    """
    names = [_photographs(path, settings.split) for path in (first, second)]
    if names[0] != names[1]:
        alone = sorted({*names[0]} ^ {*names[1]})
        example = f", {alone[0]} is in one of them alone" if alone else ", the order differs"
        raise ValueError(
            f"{first} and {second} have not the same views ({len(names[0])} and {len(names[1])}{example}): compare two "
            "runs of one capture, with the same `nerfstudio-data` options."
        )
    found: dict[str, tuple[dict[str, Any], Any]] = {}
    for letter, path in zip("AB", (first, second)):
        report, pictures = evaluated(path, settings)
        found[f"{letter}: {report['method']}"] = (report, pictures)
    folder = output or Path(second).expanduser().absolute() / "compared"
    table = write_comparison(folder, found)
    say(table)
    say(f"Side by side: {folder / 'comparison.png'}")
    return folder


def _photographs(path: Path, split: str) -> list[str]:
    """Names of the photographs of a split, in order."""
    run = FieldRun(path) if is_field_run(path) else open_run(path)
    data: Any = run.pipeline.datamanager
    dataset = data.train_dataset if split == "train" else data.eval_dataset
    return [Path(name).name for name in dataset.image_filenames]
