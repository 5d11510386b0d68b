"""The trainer of `fasttext2style-nerf`: rounds on a NeRF, from a run of nerfacto; one is trained first without."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from fasttext2style.plugin.host.capture import Capture
from fasttext2style.plugin.host.checkpoints import checkpoint_path, read_checkpoint
from fasttext2style.plugin.host.defaults import ON_CUDA
from fasttext2style.plugin.host.run_config import RunConfig, Started
from fasttext2style.plugin.host.start_checks import NamedScene, free_bytes, too_full
from fasttext2style.plugin.nerf.base import base_settings, check_views
from fasttext2style.plugin.nerf.pipeline import NerfPipeline, NerfPipelineConfig
from fasttext2style.plugin.rounds.loop import RoundsTraining
from fasttext2style.plugin.rounds.resumable import ResumableConfig
from fasttext2style.rounds.tools import Tools
from fasttext2style.selection.segmenters.load import load_segmenter
from fasttext2style.styling.steps import with_enough_memory
from fasttext2style.terminal.console import say

LIKELY_BYTES = 80e6 if ON_CUDA else 12e6
"""Of a checkpoint that is yet to be trained, with the moments of Adam."""


@dataclass
class NerfTrainerConfig(ResumableConfig):
    """Trainer settings of `fasttext2style-nerf`. Without --prompt a NeRF of the capture is trained, and any later
    instruction can start from it."""

    _target: type = field(default_factory=lambda: NerfTrainer)
    pipeline: NerfPipelineConfig = field(default_factory=NerfPipelineConfig)  # pyright: ignore[reportIncompatibleVariableOverride, reportAssignmentType]
    """NeRF, masks, editor and rounds."""
    reconstruction_steps: int = 0
    """Steps of the NeRF that is trained on the photographs, when no --load-dir is given; 0 takes 500 on a CPU (23 dB in
    held-out views of the embedded scene, 64 pixels), 30,000 on CUDA."""

    @property
    def base_steps(self) -> int:
        """Steps before any edit."""
        return self.reconstruction_steps or (30_000 if self.machine.device_type == "cuda" else 500)

    def check_settings(self) -> None:
        if self.reconstruction_steps < 0:
            raise ValueError(f"--reconstruction-steps must be 0 or more, got {self.reconstruction_steps}.")
        if not self.pipeline.prompt and not self.max_num_iterations:
            self.max_num_iterations = self.base_steps
        super().check_settings()
        self.pipeline.check()

    def check_steps(self) -> None:
        if self.pipeline.prompt:
            super().check_steps()
        else:
            RunConfig.check_steps(self)

    def named_scene(self) -> NamedScene | None:
        path = None if self.has_scene else checkpoint_path(self)
        if path is None:
            return None
        state = read_checkpoint(path, mmap=True)
        self.pipeline.model = base_settings(path, state["pipeline"], self.pipeline.model)
        return NamedScene(path, 0, None, int(state["step"]), state.get("method", ""))

    def reconstructs(self, scene: NamedScene | None) -> bool:
        return scene is None and not self.has_scene

    def check_scene(self, scene: NamedScene | None, capture: Capture) -> None:
        super().check_scene(scene, capture)
        if scene is not None:
            check_views(scene.path, read_checkpoint(scene.path, mmap=True)["pipeline"], len(capture.photographs))
        capture.tell()

    def check_disk(self, scene: NamedScene | None, capture: Capture) -> None:
        size = LIKELY_BYTES if scene is None else scene.path.stat().st_size
        kept = size * (2 + (self.pipeline.rounds.schedule.rounds + 1 if self.pipeline.prompt else 0))
        needed = kept + (self.picture_bytes(capture) if self.pipeline.prompt else 0)
        folder, written = self.get_base_dir(), "checkpoints, a snapshot per round, pictures"
        if said := too_full(folder, int(needed), written, free_bytes(folder)):
            raise ValueError(said)

    def load_networks(self) -> Tools | None:
        if not self.pipeline.prompt:
            return None
        if self.pipeline.masks.text:
            # Only to see that it can be had: masks are asked for after the NeRF was trained.
            load_segmenter(self.pipeline.masks.segmenter, self.machine.device_type)
        return Tools(*self.pipeline.load_editing(self.machine.device_type))


class NerfTrainer(RoundsTraining):
    """Edits a NeRF in rounds, or trains one."""

    config: NerfTrainerConfig
    pipeline: NerfPipeline  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def edits(self) -> bool:
        return bool(self.config.pipeline.prompt)

    def prepare(self, started: Started) -> None:
        self._networks, self.watch, config = started.networks, started.watch, self.config
        self.phase = "Editing" if config.pipeline.prompt else "Training"
        if not config.pipeline.prompt:
            say("Without --prompt a NeRF is trained on the photographs, and nothing is edited.")
        if config.pipeline.prompt and not config.has_scene and checkpoint_path(config) is None:
            with self.watch.phase("reconstruction"):
                config.load_dir = _trained_first(config)

    def _load_checkpoint(self) -> None:
        pipeline, config = self.pipeline, self.config
        if not self.edits:
            super()._load_checkpoint()
            pipeline.begin_training()
            return
        pipeline.watch, resumes = self.watch, config.has_scene
        if not resumes:
            self._load_base()
        pipeline.begin_rounds(
            self._networks,
            self.base_dir,
            resumes,
            config.refine,
            self.on_edit_step,
        )
        self.take_place(resumes)
        # The rates go on where the base run left them: poses that were found are not sought again.
        for scheduler in self.optimizers.schedulers.values():
            for _ in range(int(pipeline.model.sampling[0])):
                scheduler.step()

    def _load_base(self) -> None:
        path = checkpoint_path(self.config)
        assert path is not None, "prepare() trains one when none is given"
        state = read_checkpoint(path)
        self.pipeline.load_pipeline(state["pipeline"], state["step"])
        if "_model.sampling" not in state["pipeline"]:
            self.pipeline.model.trained(int(state["step"]) + 1)

    def train_iteration(self, step: int) -> Any:
        if not self.edits:
            return super().train_iteration(step)
        iteration = super().train_iteration
        return with_enough_memory(lambda: iteration(step), self.optimizers.optimizers.values(), self.pipeline.halve)


def _trained_first(run: NerfTrainerConfig) -> Path:
    """Train a NeRF of the run's capture, as a run of its own that any later instruction can start from; returns the
    folder of its checkpoints."""
    config = deepcopy(run)
    config.prompt = config.pipeline.model.prompt = None
    config.timestamp, config.is_new, config.run_folder = f"{run.timestamp}_base", True, None
    config.vis = "tensorboard"
    config.max_num_iterations = run.base_steps
    config.save_config()
    say("No --load-dir: a NeRF is trained first. Another instruction can start from it:")
    say(f"  --load-dir {quote(str(config.get_checkpoint_dir().absolute()))}")
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    return config.get_checkpoint_dir()
