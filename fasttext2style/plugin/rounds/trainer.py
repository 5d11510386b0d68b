"""The trainer of `fasttext2style-ip2p`: starts a run of rounds, or resumes one after its last complete round."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from nerfstudio.engine.optimizers import Optimizers

from fasttext2style.editors.editor import OnStep
from fasttext2style.envmaps.around import keep_environment
from fasttext2style.evaluation.locality import LoadedFile
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.history.history import History
from fasttext2style.plugin.host.edit_record import take_environment
from fasttext2style.plugin.host.rates import maker_of, rates_of_mode
from fasttext2style.plugin.rounds.loop import RoundsTraining
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


class RoundsTrainer(RoundsTraining, StyleTrainer):
    """Edits an object in rounds; max_num_iterations follows from the schedule."""

    config: RoundsTrainerConfig
    pipeline: RoundsPipeline
    phase = "Editing"

    @property
    def edits(self) -> bool:
        return not self.config.live

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
            self.on_edit_step,
        )
        self.take_place(resumes)
        rate = self.pipeline.rounds.mode.geometry_rate
        self.optimizers = Optimizers(rates_of_mode(self.config.optimizers, rate), groups)
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
