"""ft2s evaluate: an edit in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from fasttext2style.commands.shared import RunPath
from fasttext2style.evaluation.settings import EvaluationSettings


@dataclass
class Evaluate(EvaluationSettings):
    """Measure an edit: how well it did what was asked, what it changed outside the object, whether views agree."""

    path: RunPath
    """Folder of a run of fasttext2style, fasttext2style-ip2p or fasttext2style-nerf; its evaluation/ gets a JSON, a
    table and pictures."""
    trust: bool = False
    """Import the encoder that the run's settings name as module:attribute, though you did not write the run on this
    machine."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.evaluate import evaluate_run
        from fasttext2style.plugin.runs.trust import by_whom

        with by_whom(self.path, self.trust):
            evaluate_run(self.path, self)
