"""The trainer of `fasttext2style-ip2p`: begins a run of rounds, or takes one up again where its books end."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nerfstudio.engine.optimizers import Optimizers
from nerfstudio.utils.rich_utils import CONSOLE

from fasttext2style.plugin.rounds_pipeline import RoundsPipeline, RoundsPipelineConfig
from fasttext2style.plugin.trainer import (
    SceneTrainer,
    StyleTrainer,
    StyleTrainerConfig,
    check_same_coordinates,
    checkpoint_path,
    errors_in_words,
    read_checkpoint,
)
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.modes import Mode
from fasttext2style.rounds.snapshot import load_scene
from fasttext2style.selection.selection import Selection


@dataclass
class RoundsTrainerConfig(StyleTrainerConfig):
    """Trainer settings of `fasttext2style-ip2p`. A run whose folder holds rounds already goes on with them."""

    _target: type = field(default_factory=lambda: RoundsTrainer)
    pipeline: RoundsPipelineConfig = field(default_factory=RoundsPipelineConfig)
    """Scene, object, editor and rounds."""
    run_folder: Path | None = None
    """The run's folder, instead of output-dir/experiment/method/timestamp; `ft2s rounds resume` sets it, so that runs
    can be moved."""
    refine: int = 0
    """Only with a run that has rounds: go on with the last one for so many steps, without new edits."""

    def get_base_dir(self) -> Path:
        return super().get_base_dir() if self.run_folder is None else self.run_folder


class RoundsTrainer(StyleTrainer):
    """Edits an object in rounds; max_num_iterations follows from the schedule."""

    config: RoundsTrainerConfig
    pipeline: RoundsPipeline
    phase = "Editing in rounds"

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        from fasttext2style.plugin.reconstruction import reconstruct

        with errors_in_words():
            config = self.config
            self._books = RoundsFolder(self.base_dir / "rounds")
            self._tools = config.pipeline.load_tools(self.device)
            self._resumes = bool(self._books.rounds())
            if config.live:
                raise ValueError("Live sessions style by text: use `ns-train fasttext2style --live True`.")
            if config.refine and not self._resumes:
                raise ValueError(f"There is no round to refine in {self._books.path}.")
            if not self._resumes:
                if config.load_ply is not None and (config.load_dir or config.load_checkpoint):
                    raise ValueError("--load-ply and --load-dir/--load-checkpoint both name a scene: give one of them.")
                if config.load_ply is None and checkpoint_path(config) is None:
                    config.load_dir = reconstruct(config)
            # Not StyleTrainer's: it would load an encoder, which rounds rarely need.
            SceneTrainer.setup(self, test_mode)

    def _load_checkpoint(self) -> None:
        selection = self._load_rounds_scene() if self._resumes else self._load_new_scene()
        groups = self.pipeline.begin_rounds(self._tools, selection, self.base_dir, self._resumes, self.config.refine)
        rounds = self.pipeline.rounds
        self._start_step = (rounds.round - 1) * rounds.plan.steps_per_round + rounds.step
        self.config.max_num_iterations = rounds.steps_left
        if self._resumes:
            CONSOLE.log(f"Going on with round {rounds.round}, {rounds.steps_left} steps are left.")
        self.optimizers = Optimizers(_rates_of_mode(self.config.optimizers, rounds.mode), groups)
        for scheduler in self.optimizers.schedulers.values():
            for _ in range(self._start_step):
                scheduler.step()

    def _load_rounds_scene(self) -> Selection:
        """The scene before any round, and its object."""
        start = self._books.rounds()[0]
        scene, weights = load_scene(start.snapshot)
        self.pipeline.model.load_state_dict(scene.to_splatfacto())
        return Selection(weights, "the object of the resumed run")

    def _load_new_scene(self) -> Selection:
        pipeline, path = self.pipeline, checkpoint_path(self.config)
        if self.config.load_ply is not None:
            pipeline.load_ply(self.config.load_ply)
        else:
            assert path is not None, "setup() reconstructs when nothing is given"
            check_same_coordinates(path, pipeline.datamanager.train_dataparser_outputs)
            state = read_checkpoint(path)
            pipeline.load_pipeline(state["pipeline"], state["step"])
        selection = pipeline.config.object.select(
            pipeline.model.gaussians(),
            pipeline.datamanager.cameras("train"),
            pipeline.datamanager.masks(),
            pipeline.model.selection,
            pipeline.datamanager.config.object_masks is not None,
        )
        warning = selection.check_usable()
        if warning:
            CONSOLE.log(f"[yellow]{warning}[/yellow]")
        return selection

    def train(self) -> None:
        if self.pipeline.rounds.done:
            CONSOLE.print(
                f"All {self.pipeline.rounds.plan.rounds} rounds are there. More: ft2s rounds resume {self.base_dir} "
                "--rounds N, or --refine STEPS on the last one."
            )
            return
        try:
            super().train()
        except SystemExit as end:
            if end.code == 130:
                CONSOLE.print(f"Complete rounds are kept. Go on with:  ft2s rounds resume {self.base_dir}")
            raise


def _rates_of_mode(optimizers: dict[str, Any], mode: Mode) -> dict[str, Any]:
    """The configured optimizers, with the mode's share of the learning rates of everything but colour."""
    optimizers = deepcopy(optimizers)
    for name, entry in optimizers.items():
        if not name.startswith("features"):
            entry["optimizer"].lr *= mode.geometry_rate
    return optimizers
