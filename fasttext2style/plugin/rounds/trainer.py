"""The trainer of `fasttext2style-ip2p`: starts a run of rounds, or resumes one after its last complete round."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal

from nerfstudio.engine.optimizers import Optimizers
from nerfstudio.utils.rich_utils import CONSOLE

from fasttext2style.editors.editor import OnStep
from fasttext2style.evaluation.locality import LoadedFile
from fasttext2style.plugin.host.console import errors_in_words
from fasttext2style.plugin.host.rates import maker_of, rates_of_mode
from fasttext2style.plugin.rounds.pipeline import RoundsPipeline, RoundsPipelineConfig
from fasttext2style.plugin.style.trainer import StyleTrainer, StyleTrainerConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import load_scene
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.setup import new_rounds
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject

if TYPE_CHECKING:
    from fasttext2style.live.action import Action


@dataclass
class RoundsTrainerConfig(StyleTrainerConfig):
    """Trainer settings of `fasttext2style-ip2p`. A run whose folder already holds rounds continues with
    them."""

    _target: type = field(default_factory=lambda: RoundsTrainer)
    pipeline: RoundsPipelineConfig = field(default_factory=RoundsPipelineConfig)
    """Scene, object, editor and rounds."""
    run_folder: Path | None = None
    """The run's folder, instead of output-dir/experiment/method/timestamp; `ft2s rounds resume` sets it, so that runs
    can be moved."""
    refine: int = 0
    """Only with a run that has rounds: train the last one for this many more steps, without new edits."""

    def get_base_dir(self) -> Path:
        return super().get_base_dir() if self.run_folder is None else self.run_folder


class RoundsTrainer(StyleTrainer):
    """Edits an object in rounds; max_num_iterations follows from the schedule."""

    config: RoundsTrainerConfig
    pipeline: RoundsPipeline
    phase = "Editing in rounds"

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        with errors_in_words():
            self._books = RoundsFolder(self.base_dir / "rounds")
            self.has_scene = bool(self._books.rounds())
            if self.config.refine and not self.has_scene:
                raise ValueError(f"There is no round to refine in {self._books.path}.")
            super().setup(test_mode)

    def _load_networks(self) -> None:
        self._tools = self.config.pipeline.load_tools(self.device, prompt_needed=not self.config.live)

    def _load_checkpoint(self) -> None:
        if self.config.live:
            super()._load_checkpoint()
            return
        resumes = self.has_scene
        selection = self._load_rounds_scene() if resumes else self._load_new_scene()
        self._scene_is_there()
        groups = self.pipeline.begin_rounds(self._tools, selection, self.base_dir, resumes, self.config.refine)
        rounds = self.pipeline.rounds
        self._start_step = (rounds.round - 1) * rounds.plan.steps_per_round + rounds.step
        self.config.max_num_iterations = rounds.steps_left
        if resumes:
            CONSOLE.log(f"Continuing with round {rounds.round}; {rounds.steps_left} steps are left.")
        self.optimizers = Optimizers(rates_of_mode(self.config.optimizers, rounds.mode.geometry_rate), groups)
        for scheduler in self.optimizers.schedulers.values():
            for _ in range(self._start_step):
                scheduler.step()

    def _load_rounds_scene(self) -> Selection:
        """The scene before any round, and its object."""
        start = self._books.rounds()[0]
        self.loaded = LoadedFile.of(start.snapshot)
        scene, weights = load_scene(start.snapshot)
        self.pipeline.model.load_gaussians(scene)
        return Selection(weights, "the object of the resumed run")

    def _load_new_scene(self) -> Selection:
        self._load_scene()
        return self.pipeline.choose_object()

    def before_last_save(self) -> None:
        """Rounds have books of their own: they are no step of the history."""

    def train(self) -> None:
        if not self.config.live and self.pipeline.rounds.done:
            CONSOLE.print(
                f"All {self.pipeline.rounds.plan.rounds} rounds are done. For more: "
                f"ft2s rounds resume {quote(str(self.base_dir))} --rounds N, or --refine STEPS on the last one."
            )
            return
        try:
            super().train()
        except SystemExit as end:
            if end.code == 130:
                CONSOLE.print(f"Complete rounds are kept. Resume with:  ft2s rounds resume {quote(str(self.base_dir))}")
            raise

    def live_action(self) -> Action:
        from fasttext2style.live.rounds import LiveRounds, rounds_action

        config, capture = self.config.pipeline, self.pipeline.capture()

        def begin(instruction: str, edit: EditableObject, books: RoundsFolder, on_edit_step: OnStep) -> EditRounds:
            task = Task(instruction, config.mode, config.seed)
            return new_rounds(edit, capture, self._tools, task, config.rounds, config.styler, books, on_edit_step)

        make = maker_of(self.config.optimizers)
        return rounds_action(LiveRounds(begin, make, self.base_dir, config.growth, config.rounds.keep))
