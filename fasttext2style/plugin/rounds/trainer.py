"""The trainer of `fasttext2style-ip2p`: starts a run of rounds, or resumes one after its last complete round."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from shlex import quote
from typing import TYPE_CHECKING, Any, ClassVar

from nerfstudio.engine.optimizers import Optimizers

from fasttext2style.editors.editor import OnStep
from fasttext2style.envmaps.around import keep_environment
from fasttext2style.evaluation.locality import LoadedFile
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.history.history import History
from fasttext2style.plugin.host.edit_record import take_environment
from fasttext2style.plugin.host.rates import maker_of, rates_of_mode
from fasttext2style.plugin.rounds.pipeline import RoundsPipeline, RoundsPipelineConfig
from fasttext2style.plugin.rounds.resumable import ResumableConfig
from fasttext2style.plugin.style.trainer import StyleTrainer, StyleTrainerConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import load_scene
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.setup import new_rounds
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.terminal.console import errors_in_words, say
from fasttext2style.terminal.progress import PhaseProgress

if TYPE_CHECKING:
    from fasttext2style.live.action import Action


@dataclass
class RoundsTrainerConfig(ResumableConfig, StyleTrainerConfig):
    """Trainer settings of `fasttext2style-ip2p`. A run whose folder already holds rounds continues with
    them."""

    _target: type = field(default_factory=lambda: RoundsTrainer)
    pipeline: RoundsPipelineConfig = field(default_factory=RoundsPipelineConfig)
    """Scene, object, editor and rounds."""

    no_prompt: ClassVar[str] = 'No instruction was given: add --prompt "turn the bear into a panda".'

    def load_networks(self) -> Any:
        tools = self.pipeline.load_tools(self.machine.device_type)
        if tools.encoder is not None:
            self.check_objective(tools.encoder)
        return tools


class RoundsTrainer(StyleTrainer):
    """Edits an object in rounds; max_num_iterations follows from the schedule."""

    config: RoundsTrainerConfig
    pipeline: RoundsPipeline
    phase = "Editing"

    def _load_checkpoint(self) -> None:
        if self.config.live:
            super()._load_checkpoint()
            return
        resumes = self.config.has_scene
        selection = self._load_rounds_scene() if resumes else self._load_new_scene()
        self._scene_is_there()
        groups = self.pipeline.begin_rounds(
            self._networks,
            selection,
            self.base_dir,
            resumes,
            self.config.refine,
            lambda done, total: self.progress.part_of_step("editing", done, total),
        )
        rounds = self.pipeline.rounds
        self.steps_per_cycle = rounds.plan.steps_per_round
        self._start_step = (rounds.round - 1) * rounds.plan.steps_per_round + rounds.step
        self.config.max_num_iterations = rounds.steps_left
        if resumes:
            say(f"Continuing with round {rounds.round}; {rounds.steps_left} steps are left")
        self.optimizers = Optimizers(rates_of_mode(self.config.optimizers, rounds.mode.geometry_rate), groups)
        for scheduler in self.optimizers.schedulers.values():
            for _ in range(self._start_step):
                scheduler.step()

    def _load_rounds_scene(self) -> Selection:
        """The scene before any round, and its object."""
        start = RoundsFolder(self.base_dir / "rounds").rounds()[0]
        self.loaded = LoadedFile.of(start.snapshot)
        scene, weights = load_scene(start.snapshot)
        self.pipeline.model.load_gaussians(scene)
        take_environment(self.pipeline.model, History.open(self.base_dir / "history"))
        return Selection(weights, "the object of the resumed run")

    def _load_new_scene(self) -> Selection:
        self._load_scene()
        self._surround_rounds()
        return self.pipeline.choose_object(self.base_dir, self._networks.encoder)

    def _surround_rounds(self) -> None:
        """What --environment names, or what was around the scene that the run starts from, as its first step: rounds
        themselves are none."""
        model, history = self.pipeline.model, History.open(self.base_dir / "history")
        self._begins = not history.steps
        # The steps that led to this scene are those of another run's history.
        for name in ("history_ids", "history_applied"):
            setattr(model, name, None)
        if self.config.environment is None and self._begins and model.environment is not None:
            keep_environment(history, model.environment.cpu(), "as in the run it started from", {})
        self.surround(history)
        take_environment(model, history)

    def before_last_save(self) -> None:
        """Rounds have books of their own: they are no step of the history."""

    def train(self) -> None:
        if not self.config.live and self.pipeline.rounds.done:
            with errors_in_words(), self.lock:
                if not self.pipeline.results_are_there():
                    # Killed after the last round, before its results were whole.
                    self.step = max(0, self._start_step - 1)
                    self.progress = PhaseProgress(self.phase, self.step)
                    self._after_train()
                    return
            say(
                f"All {self.pipeline.rounds.plan.rounds} rounds are done. For more: "
                f"ft2s rounds resume {quote(str(self.base_dir))} --rounds N, or --refine STEPS on the last one."
            )
            return
        try:
            super().train()
        except SystemExit as end:
            if end.code == 130:
                say(f"Complete rounds are kept. Resume with:  ft2s rounds resume {quote(str(self.base_dir))}")
            raise

    def live_action(self) -> Action:
        from fasttext2style.live.rounds import LiveRounds, rounds_action

        config, capture, tools = self.config.pipeline, self.pipeline.capture(), self._networks

        def begin(instruction: str, edit: EditableObject, books: RoundsFolder, on_edit_step: OnStep) -> EditRounds:
            task = Task(instruction, config.mode, config.seed)
            return new_rounds(edit, capture, tools, task, config.rounds, config.styler, books, on_edit_step)

        @cache
        def load_encoder() -> TextImageEncoder:
            return tools.encoder or config.load_encoder(self.config.machine.device_type)

        make = maker_of(self.config.optimizers)
        rounds = LiveRounds(begin, make, self.base_dir, config.growth, config.rounds.keep)
        return rounds_action(rounds, load_encoder)
