"""Trainer settings of runs that keep rounds, and go on after the last complete one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fasttext2style.plugin.host.capture import Capture
from fasttext2style.plugin.host.run_config import RunConfig
from fasttext2style.rounds.folder import RoundsFolder


@dataclass
class ResumableConfig(RunConfig):
    """A run whose folder already holds rounds continues with them."""

    run_folder: Path | None = None
    """The run's folder, instead of output-dir/experiment/method/timestamp; `ft2s rounds resume` sets it, so that runs
    can be moved."""
    refine: int = 0
    """Only with a run that has rounds: train the last one for this many more steps, without new edits."""

    def get_base_dir(self) -> Path:
        return super().get_base_dir() if self.run_folder is None else self.run_folder

    @property
    def has_scene(self) -> bool:
        return bool(RoundsFolder(self.get_base_dir() / "rounds").rounds())

    def check_replaces_nothing(self) -> None:
        """It goes on with the rounds that are there."""

    def check_steps(self) -> None:
        if self.max_num_iterations:
            raise ValueError(
                "How many steps there are follows from the rounds: leave --max-num-iterations out, and set "
                "--pipeline.rounds.schedule.rounds and --pipeline.rounds.schedule.steps."
            )
        if self.refine < 0:
            raise ValueError(f"--refine counts steps, 0 or more, got {self.refine}.")
        if self.refine and not self.has_scene:
            raise ValueError(f"There is no round to refine in {self.get_base_dir() / 'rounds'}.")

    def picture_bytes(self, capture: Capture) -> int:
        settings: Any = self.pipeline
        schedule, keep = settings.rounds.schedule, settings.rounds.keep
        plan = schedule.resolved(len(capture.photographs), self.machine.device_type == "cuda")
        edits = plan.views * (1 + (plan.steps - 1) // plan.edit_every if plan.edit_every else 1)
        edited = min(edits, len(capture.photographs))
        pairs = min(edited, keep.views or edited)
        # A .png of a render takes about half of its pixels' bytes, the other formats a fifth of that; masks hardly any.
        picture = 3 * capture.width * capture.height // (2 if keep.format == "png" else 10)
        return super().picture_bytes(capture) + plan.rounds * picture * (edited + 2 * pairs)
