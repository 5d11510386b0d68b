"""What the host's pipeline and trainer do around rounds alike, whatever the rounds edit."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import torch
from nerfstudio.pipelines.base_pipeline import VanillaPipeline

from fasttext2style.plugin.scene.trainer import SceneTrainer
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.terminal.console import errors_in_words, say
from fasttext2style.terminal.progress import PhaseProgress
from fasttext2style.trust.documents import read_document


class RoundsLoop(VanillaPipeline):
    """A pipeline with rounds."""

    config: Any
    rounds: EditRounds
    folder: Path
    """Of the run."""
    _begun = (0, 0)
    """Round and step that was begun last."""

    def begin_step(self) -> None:
        """A step that is done again, for want of memory, is not begun again: it may have begun with edits."""
        if self._begun != (begun := (self.rounds.round, self.rounds.step)):
            with torch.autocast(self.device.type, enabled=False):
                self.rounds.begin_step()
            self._begun = begun

    def halve(self) -> int:
        """Half as many views or patches a step from now on; tells how many they were."""
        return self.rounds.halve()

    def facts(self, trainer: Any, of: str) -> dict[str, Any]:
        """What a report tells of rounds; `of` says in words what was edited."""
        config = self.config
        return {
            "prompt": config.prompt,
            "mode": config.mode,
            "editor": self.rounds.tools.editor.name,
            "object": of,
            "device": str(self.device),
            "seed": {"rounds": config.seed, "machine": trainer.config.machine.seed},
            "rounds": [
                entry.manifest["metrics"] | {"seconds": entry.manifest["seconds"]}
                for entry in self.rounds.folder.rounds()[1:]
            ],
        }

    def results_are_there(self) -> bool:
        """Whether results/ is of all complete rounds, refinements included; its report is written last."""
        try:
            reported = read_document(self.folder / "results" / "report.json").get("rounds")
        except ValueError:
            return False
        seconds = [entry.manifest["seconds"] for entry in self.rounds.folder.rounds()[1:]]
        return isinstance(reported, list) and [isinstance(it, dict) and it.get("seconds") for it in reported] == seconds


class RoundsTraining(SceneTrainer):
    """A trainer of such a pipeline."""

    pipeline: RoundsLoop

    @property
    def edits(self) -> bool:
        """Whether this run trains in rounds."""
        return True

    def take_place(self, resumes: bool) -> None:
        """Go on where the pipeline's rounds are."""
        rounds = self.pipeline.rounds
        self.steps_per_cycle = rounds.plan.steps_per_round
        self._start_step = (rounds.round - 1) * rounds.plan.steps_per_round + rounds.step
        self.config.max_num_iterations = rounds.steps_left
        if resumes:
            say(f"Continuing with round {rounds.round}; {rounds.steps_left} steps are left")

    def on_edit_step(self, done: int, total: int) -> None:
        """A step of denoising is done."""
        self.progress.part_of_step("editing", done, total)

    def train(self) -> None:
        run = quote(str(self.base_dir))
        if self.edits and self.pipeline.rounds.done:
            with errors_in_words(), self.lock:
                if not self.pipeline.results_are_there():
                    # Killed after the last round, before its results were whole.
                    self.step = max(0, self._start_step - 1)
                    self.progress = PhaseProgress(self.phase, self.step)
                    self._after_train()
                    return
            say(
                f"All {self.pipeline.rounds.plan.rounds} rounds are done. For more: "
                f"ft2s rounds resume {run} --rounds N, or --refine STEPS on the last one."
            )
            return
        try:
            super().train()
        except SystemExit as end:
            if self.edits and end.code == 130:
                say(f"Complete rounds are kept. Resume with:  ft2s rounds resume {run}")
            raise
