"""ft2s compare: edits of one capture, side by side."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.evaluation.settings import EvaluationSettings


@dataclass
class Compare(EvaluationSettings):
    """Measure edits of one capture as `ft2s evaluate` does, and put them side by side: the same views, one table. A
    text style, rounds on Gaussians, rounds on a NeRF: any two, or more."""

    first: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_A")]
    """Folder of a run."""
    second: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_B")]
    """Folder of another run of the same capture."""
    others: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN_C")] = ()
    """Folders of further ones."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder for the table, the pictures and a JSON; by default `compared` in the last run's."""
    trust: bool = False
    """Import what the runs' settings name as module:attribute, though you did not write the runs on this machine."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.compare import compare_runs
        from fasttext2style.plugin.runs.trust import by_whom

        paths = (self.first, self.second, *self.others)
        with ExitStack() as stack:
            for path in paths:
                stack.enter_context(by_whom(path, self.trust))
            compare_runs(paths, self.output, self)
