"""nerfstudio's Trainer, with a load that trains afterwards and saves that lose nothing; reconstructs, or resumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.utils import writer
from nerfstudio.utils.rich_utils import CONSOLE

from fasttext2style.plugin.host.checkpoints import (
    checkpoint_path,
    plain_numbers,
    read_checkpoint,
    write_checkpoint,
)
from fasttext2style.plugin.host.console import errors_in_words
from fasttext2style.plugin.host.pipelines import ScenePipelineConfig
from fasttext2style.plugin.host.progress import PhaseProgress
from fasttext2style.recipes.written import write_run_recipe

FORMAT = "fasttext2style-1"
"""Marks our own checkpoints, whose optimizer state may be resumed."""


@dataclass
class SceneTrainerConfig(TrainerConfig):
    """Trainer settings of `fasttext2style-scene`."""

    _target: type = field(default_factory=lambda: SceneTrainer)
    pipeline: ScenePipelineConfig = field(default_factory=ScenePipelineConfig)
    """Data and model."""

    def save_config(self) -> None:
        """Save config.yml with absolute paths, so that ns-render and its kin find the run from any folder, and
        recipe.yaml, which repeats it."""
        for name in ("output_dir", "data", "load_dir", "load_checkpoint", "load_config"):
            if getattr(self, name, None) is not None:
                setattr(self, name, Path(getattr(self, name)).expanduser().absolute())
        datamanager = self.pipeline.datamanager
        for name in ("data", "object_masks"):
            if getattr(datamanager, name, None) is not None:
                setattr(datamanager, name, Path(getattr(datamanager, name)).expanduser().absolute())
        super().save_config()
        write_run_recipe(self, self.get_base_dir())


class SceneTrainer(Trainer):
    """Trains a scene; Ctrl-C keeps what was learnt, a resume goes on where it stopped."""

    config: SceneTrainerConfig
    phase = "Reconstructing"

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        with errors_in_words():
            self._reset_writers()
            super().setup(test_mode)

    def train(self) -> None:
        total = self._start_step + self.config.max_num_iterations
        with errors_in_words(), PhaseProgress(self.phase, total, self._start_step) as self.progress:
            try:
                super().train()
            except KeyboardInterrupt:
                self.before_last_save()
                self.save_checkpoint(self.step)
                CONSOLE.print(f"Interrupted: step {self.step} is kept in {self.checkpoint_dir}.")
                raise SystemExit(130) from None

    def _after_train(self) -> None:
        self.before_last_save()
        super()._after_train()

    def before_last_save(self) -> None:
        """The last step is done, or the run was interrupted."""

    def train_iteration(self, step: int) -> Any:
        loss, loss_dict, metrics = super().train_iteration(step)
        loss = loss.detach()
        self.progress.update(step, float(loss))
        return loss, {name: value.detach() for name, value in loss_dict.items()}, metrics

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
            CONSOLE.print(f"Resuming {path} at step {self._start_step}.")
        else:
            CONSOLE.print(f"Starting from the scene of {path}, with fresh optimizers.")

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
            for other in self.checkpoint_dir.glob("step-*.ckpt"):
                if other != path:
                    other.unlink()
