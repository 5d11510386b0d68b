"""nerfstudio's Trainer, with a load that trains afterwards, saves that lose nothing, and errors in words.

`SceneTrainer` reconstructs a scene, or resumes. `StyleTrainer` starts from a run, a .ply, or reconstructs first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nerfstudio.engine.optimizers import Optimizers
from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.utils import writer
from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape

from fasttext2style.plugin.checkpoints import (
    check_same_coordinates,
    checkpoint_path,
    plain_numbers,
    read_checkpoint,
    write_checkpoint,
)
from fasttext2style.plugin.progress import PhaseProgress
from fasttext2style.plugin.scene_pipeline import ScenePipelineConfig
from fasttext2style.plugin.style_pipeline import StylePipeline, StylePipelineConfig

if TYPE_CHECKING:
    from fasttext2style.history.history import History
    from fasttext2style.plugin.live_action import Action

FORMAT = "fasttext2style-1"
"""Marks our own checkpoints, whose optimizer state may be resumed."""


@dataclass
class SceneTrainerConfig(TrainerConfig):
    """Trainer settings of `fasttext2style-scene`."""

    _target: type = field(default_factory=lambda: SceneTrainer)
    pipeline: ScenePipelineConfig = field(default_factory=ScenePipelineConfig)
    """Data and model."""

    def save_config(self) -> None:
        """Save config.yml with absolute paths, so that ns-render and its kin find the run from any folder."""
        for name in ("output_dir", "data", "load_dir", "load_checkpoint", "load_config"):
            if getattr(self, name, None) is not None:
                setattr(self, name, Path(getattr(self, name)).expanduser().absolute())
        datamanager = self.pipeline.datamanager
        for name in ("data", "object_masks"):
            if getattr(datamanager, name, None) is not None:
                setattr(datamanager, name, Path(getattr(datamanager, name)).expanduser().absolute())
        super().save_config()


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


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show a ValueError (bad input) or an OSError (disk, network) as one readable message; exit code 1."""
    try:
        yield
    except (ValueError, OSError) as error:
        CONSOLE.print(f"\n[bold red]Error:[/bold red] {escape(str(error))}", highlight=False)
        raise SystemExit(1) from error


# --- style ----------------------------------------------------------------------------------------------------------


@dataclass
class StyleTrainerConfig(SceneTrainerConfig):
    """Trainer settings of `fasttext2style`."""

    _target: type = field(default_factory=lambda: StyleTrainer)
    pipeline: StylePipelineConfig = field(default_factory=StylePipelineConfig)
    """Scene, object, encoder and style."""
    live: bool = False
    """Open the scene in the viewer and wait: point at an object, type, press Apply, undo, as often as you like. Ctrl-C
    saves and ends."""
    segmenter: str = "encoder"
    """What finds an object by a text in a live session: "encoder" (the embedded one, rough, needs no download), or a
    segmentation model as in `ft2s select --by text`."""
    load_ply: Path | None = None
    """A 3DGS .ply to start from, in the coordinates that the data parser gives (ns-export writes such). For a .ply in
    the capture's own coordinates add `nerfstudio-data --orientation-method none --center-method none
    --auto-scale-poses False`."""
    reconstruction_steps: int = 0
    """Steps of the reconstruction when neither --load-dir nor --load-ply is given; 0 takes the method's default
    (3,000 on a CPU, 30,000 on CUDA)."""

    def save_config(self) -> None:
        if self.load_ply is not None:
            self.load_ply = Path(self.load_ply).expanduser().absolute()
        super().save_config()


class StyleTrainer(SceneTrainer):
    """Styles an object: networks first (their weights may be missing), then the scene, then the steps."""

    config: StyleTrainerConfig
    pipeline: StylePipeline
    phase = "Styling"
    has_scene = False
    """The run's own folder holds the scene."""

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        from fasttext2style.plugin.reconstruction import reconstruct

        with errors_in_words():
            config = self.config
            if not self.has_scene and config.load_ply is not None and (config.load_dir or config.load_checkpoint):
                raise ValueError("--load-ply and --load-dir/--load-checkpoint both name a scene: give one of them.")
            if config.live and not config.is_viewer_enabled():
                raise ValueError(f"A live session needs the viewer, but --vis is {config.vis}: add --vis viewer.")
            self._load_networks()
            if not self.has_scene and config.load_ply is None and checkpoint_path(config) is None:
                config.load_dir = reconstruct(config)
            super().setup(test_mode)

    def _load_networks(self) -> None:
        self._encoder = self.config.pipeline.load_encoder(self.device, prompt_needed=not self.config.live)

    def _load_scene(self) -> None:
        """The scene that the command line names."""
        path = checkpoint_path(self.config)
        if self.config.load_ply is not None:
            self.pipeline.load_ply(self.config.load_ply)
        else:
            assert path is not None, "setup() reconstructs when nothing is given"
            check_same_coordinates(path, self.pipeline.datamanager.train_dataparser_outputs)
            state = read_checkpoint(path)
            self.pipeline.load_pipeline(state["pipeline"], state["step"])

    def _load_checkpoint(self) -> None:
        """Take the scene, make the selection, and build optimizers over the object's Gaussians alone."""
        self._load_scene()
        if self.config.live:
            self.optimizers = Optimizers({}, {})
            return
        from fasttext2style.plugin.edit_record import scene_of_history

        history = self.history()
        state = scene_of_history(self.pipeline.model, history)
        groups = self.pipeline.begin(self._encoder, self.config.max_num_iterations, self.base_dir)
        self.pipeline.keep_as_step(history, state)
        self.optimizers = Optimizers(self.config.optimizers.copy(), groups)

    def before_last_save(self) -> None:
        self.pipeline.record_edit()

    def history(self) -> History:
        """The history of this run; of a run that goes on from another one's scene, with the steps of that one.

        Raises:
            ValueError: a damaged history, or one that cannot be carried over.
        """
        from fasttext2style.history.history import History

        history, path = History.open(self.base_dir / "history"), checkpoint_path(self.config)
        if history.steps or self.config.load_ply is not None or path is None:
            return history
        earlier = History.open(path.parent.parent / "history")
        return earlier.carried_to(history.folder) if earlier.steps else history

    def train(self) -> None:
        if not self.config.live:
            super().train()
            return
        from fasttext2style.plugin.live_run import run_live

        with errors_in_words():
            run_live(self, self.live_action())

    def live_action(self) -> Action:
        """What a live session offers to do with the object."""
        from fasttext2style.plugin.live_style import StyleSettings, rehearse, style_action

        rehearse(self._encoder, self.pipeline.datamanager.cameras("train"))
        pipeline = self.config.pipeline
        settings = StyleSettings(
            self._encoder, self.config.optimizers, pipeline.styler, pipeline.growth, seed=pipeline.seed
        )
        return style_action(settings)
