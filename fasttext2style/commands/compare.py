"""ft2s compare: two edits of one capture, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.evaluation.settings import EvaluationSettings


@dataclass
class Compare(EvaluationSettings):
    """Measure two edits of one capture as `ft2s evaluate` does, and put them side by side: the same views, one table.
    A text style, rounds on Gaussians, rounds on a NeRF: any two."""

    first: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_A")]
    """Folder of a run."""
    second: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_B")]
    """Folder of another run of the same capture."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for the table, the pictures and a JSON; by default `compared` in RUN_B's."""
    trust: bool = False
    """Import what the runs' settings name as module:attribute, though you did not write the runs on this machine."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.compare import compare_runs
        from fasttext2style.plugin.runs.trust import by_whom

        with by_whom(self.first, self.trust), by_whom(self.second, self.trust):
            compare_runs(self.first, self.second, self.output, self)
