"""nerfstudio's Trainer, with a load that trains afterwards and saves that lose nothing; reconstructs, or resumes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from nerfstudio.engine.callbacks import TrainingCallbackLocation
from nerfstudio.engine.optimizers import Optimizers
from nerfstudio.engine.trainer import Trainer
from nerfstudio.pipelines.base_pipeline import VanillaPipeline
from nerfstudio.utils import writer
from nerfstudio.viewer.viewer import Viewer

from fasttext2style.plugin.host.capture import Capture
from fasttext2style.plugin.host.chatter import address, host_is_quiet, rich_is_quiet
from fasttext2style.plugin.host.checkpoints import (
    checkpoint_path,
    checkpoints_in,
    plain_numbers,
    read_checkpoint,
    write_checkpoint,
)
from fasttext2style.plugin.host.datamanager import SceneDatamanager
from fasttext2style.plugin.host.errors import host_in_words
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.host.run_config import LEAST_STEPS, RunConfig, Started
from fasttext2style.plugin.host.start_checks import NamedScene
from fasttext2style.plugin.host.visitors import own_pages_only
from fasttext2style.selection.glued import glued_to_a_lens
from fasttext2style.terminal.console import errors_in_words, interrupts_in_words, say
from fasttext2style.terminal.progress import PhaseProgress
from fasttext2style.trust.lock import WriteLock

FORMAT = "fasttext2style-1"
"""Marks our own checkpoints, whose optimizer state may be resumed."""


@dataclass
class SceneTrainerConfig(RunConfig):
    """Trainer settings of `fasttext2style-scene`."""

    _target: type = field(default_factory=lambda: SceneTrainer)

    def check_steps(self) -> None:
        if self.max_num_iterations < LEAST_STEPS:
            steps = self.max_num_iterations
            raise ValueError(f"A reconstruction takes {LEAST_STEPS} steps or more, got --max-num-iterations {steps}.")

    def check_scene(self, scene: NamedScene | None, capture: Capture) -> None:
        super().check_scene(scene, capture)
        if scene is not None and scene.method == self.method_name and scene.step + 1 >= self.max_num_iterations:
            raise ValueError(
                f"{scene.path} has {scene.step + 1:,} steps already: to go on with it, raise --max-num-iterations "
                f"above that (it counts from the beginning), got {self.max_num_iterations:,}."
            )
        capture.tell()


class SceneTrainer(Trainer):
    """Trains a scene; Ctrl-C keeps what was learnt, a resume goes on where it stopped."""

    config: RunConfig
    pipeline: VanillaPipeline
    phase = "Reconstructing"
    steps_per_cycle = 0
    """See `TimeLeft`."""
    lock: WriteLock
    """Of the run's folder, until training ends."""

    def __init__(self, config: RunConfig, local_rank: int = 0, world_size: int = 1) -> None:
        with host_is_quiet():
            super().__init__(config, local_rank, world_size)

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        # The host would show a traceback, and end as if all were well.
        with interrupts_in_words("the run was being set up, its scene is as it was"), errors_in_words():
            started = self.config.take_started()
            self.lock = started.lock
            self.prepare(started)
            doing, hint = "The run cannot be set up", "Settings of nerfstudio's own are among the usual reasons."
            with host_in_words(doing, hint), ExitStack() as self._while_viewer_opens, host_is_quiet():
                self._reset_writers()
                super().setup(test_mode)
        model, datamanager = self.pipeline.model, self.pipeline.datamanager
        if isinstance(model, SceneModel) and isinstance(datamanager, SceneDatamanager) and self.has_drawn_points:
            # Before one colour, points in the air that have it cost nothing and stay.
            model.config.background_color = "random"
            # Drawn points lie before lenses, too; with a point cloud nothing comes so near.
            model.strategy.hanging = lambda: glued_to_a_lens(model.gaussians(), datamanager.cameras("train"))

    @property
    def has_drawn_points(self) -> bool:
        """A reconstruction of a capture without a point cloud."""
        return "points3D_drawn" in getattr(self.pipeline.datamanager.train_dataset, "metadata", {})

    def prepare(self, started: Started) -> None:
        """Take what the checks have loaded; nothing is set up yet."""

    def setup_optimizers(self) -> Optimizers:
        optimizers = super().setup_optimizers()
        # The next thing that the host does is to open the viewer, where no method of it could be overridden.
        self._while_viewer_opens.enter_context(rich_is_quiet())
        self._while_viewer_opens.enter_context(own_pages_only(self.config.viewer))
        return optimizers

    def _check_viewer_warnings(self) -> None:
        """The host calls this when the viewer is open; its own note is about evaluation, which our methods have not."""
        self._while_viewer_opens.close()
        if isinstance(self.viewer_state, Viewer):
            say(f"Viewer: {address(self.viewer_state)}")

    def train(self) -> None:
        total = self._start_step + self.config.max_num_iterations
        with errors_in_words(), self.lock:
            _ = self.pipeline.datamanager.cached_train  # the host would read the photographs at the first step
            with PhaseProgress(self.phase, total, self._start_step, self.steps_per_cycle) as self.progress:
                try:
                    super().train()
                except KeyboardInterrupt:
                    self.progress.stop()
                    self.before_last_save()
                    self.save_checkpoint(self.step)
                    say(f"Interrupted: step {self.step} is kept in {self.checkpoint_dir}")
                    raise SystemExit(130) from None

    def _after_train(self) -> None:
        """The host's own, without its panel "Training Finished": after a reconstruction that is not so."""
        self.progress.stop()
        self.training_state = "completed"
        self.before_last_save()
        self.save_checkpoint(self.step)
        writer.write_out_storage()
        for callback in self.callbacks:
            callback.run_callback_at_location(self.step, TrainingCallbackLocation.AFTER_TRAIN)
        if not self.config.viewer.quit_on_train_completion:
            self._train_complete_viewer()

    def before_last_save(self) -> None:
        """The last step is done, or the run was interrupted."""

    def train_iteration(self, step: int) -> Any:
        loss, loss_dict, metrics = super().train_iteration(step)
        loss = loss.detach()
        self.progress.update(step, float(loss))
        return loss, _detached(loss_dict), _detached(metrics)

    @staticmethod
    def _reset_writers() -> None:
        """nerfstudio keeps log writers in module globals: a second run in a process would write into the first's."""
        writer.EVENT_WRITERS.clear()
        writer.EVENT_STORAGE.clear()

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def _load_checkpoint(self) -> None:
        path = checkpoint_path(self.config)
        if path is None:
            return
        state = read_checkpoint(path)
        self.pipeline.load_pipeline(state["pipeline"], state["step"])
        if state.get("format") == FORMAT and state.get("method") == self.config.method_name:
            self._resume(state)
            say(f"Going on with {path} at step {self._start_step:,}")
        else:
            say(f"Starting from the scene of {path}, with fresh optimizers")

    def _resume(self, state: dict[str, Any]) -> None:
        """Optimizer moments and the step go on; the learning rates are those of this run's command line."""
        for name, optimizer in self.optimizers.optimizers.items():
            wanted = [group["lr"] for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][name])
            for group, lr in zip(optimizer.param_groups, wanted):
                group["lr"] = group["initial_lr"] = lr
        self._start_step = state["step"] + 1
        for scheduler in self.optimizers.schedulers.values():
            for _ in range(self._start_step):
                scheduler.step()
        # nerfstudio 1.1 counts max_num_iterations from the start of the resumed part; we mean the whole.
        self.config.max_num_iterations = max(0, self.config.max_num_iterations - self._start_step)

    def save_checkpoint(self, step: int) -> None:
        """Write `step-*.ckpt` whole or not at all, then drop older ones (if so configured).

        Raises:
            ValueError: it could not be written; earlier checkpoints are untouched.
        """
        path = self.checkpoint_dir / f"step-{step:09d}.ckpt"
        state = {
            "format": FORMAT,
            "method": self.config.method_name,
            "step": step,
            "pipeline": self.pipeline.state_dict(),
            "optimizers": {name: opt.state_dict() for name, opt in self.optimizers.optimizers.items()},
            "schedulers": {name: sch.state_dict() for name, sch in self.optimizers.schedulers.items()},
            "scalers": self.grad_scaler.state_dict(),
        }
        write_checkpoint(path, plain_numbers(state))
        if self.config.save_only_latest_checkpoint:
            for other in checkpoints_in(self.checkpoint_dir):
                if other != path:
                    other.unlink(missing_ok=True)


def _detached(values: dict[str, Any]) -> dict[str, Any]:
    """For logs: tensors of a graph would be converted with a warning each."""
    return {name: torch.as_tensor(value).detach() for name, value in values.items()}
