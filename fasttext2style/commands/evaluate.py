"""ft2s evaluate: an edit in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from fasttext2style.commands.shared import RunPath, errors_in_words
from fasttext2style.evaluation.settings import EvaluationSettings


@dataclass
class Evaluate(EvaluationSettings):
    """Measure an edit: how well it did what was asked, what it changed outside the object, whether views agree."""

    path: RunPath
    """Folder of a run of fasttext2style or fasttext2style-ip2p; its evaluation/ gets a JSON, a table and pictures."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.evaluate import evaluate_run

        with errors_in_words():
            evaluate_run(self.path, self)
