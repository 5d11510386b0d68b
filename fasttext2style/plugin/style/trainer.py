"""nerfstudio's Trainer, with a load that trains afterwards, saves that lose nothing, and errors in words.

`SceneTrainer` reconstructs a scene, or resumes. `StyleTrainer` starts from a run, a .ply, or reconstructs first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nerfstudio.engine.optimizers import Optimizers

from fasttext2style.evaluation.locality import LoadedFile
from fasttext2style.evaluation.timing import Stopwatch
from fasttext2style.plugin.host.checkpoints import (
    check_same_coordinates,
    checkpoint_path,
    read_checkpoint,
)
from fasttext2style.plugin.host.console import errors_in_words
from fasttext2style.plugin.scene.trainer import SceneTrainer, SceneTrainerConfig
from fasttext2style.plugin.style.pipeline import StylePipeline, StylePipelineConfig

if TYPE_CHECKING:
    from fasttext2style.history.history import History
    from fasttext2style.live.action import Action


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
    loaded: LoadedFile
    """What the scene was loaded from."""
    not_reconstructed = ""
    """Why this run did not reconstruct the scene; empty: it did."""

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        from fasttext2style.plugin.scene.reconstruction import reconstruct

        with errors_in_words():
            config = self.config
            if not self.has_scene and config.load_ply is not None and (config.load_dir or config.load_checkpoint):
                raise ValueError("--load-ply and --load-dir/--load-checkpoint both name a scene: give one of them.")
            if config.live and not config.is_viewer_enabled():
                raise ValueError(f"A live session needs the viewer, but --vis is {config.vis}: add --vis viewer.")
            self.watch = Stopwatch()
            with self.watch.phase("networks"):
                self._load_networks()
            self.not_reconstructed = self._scene_given()
            if not self.not_reconstructed:
                with self.watch.phase("reconstruction"):
                    config.load_dir = reconstruct(config, config.reconstruction_steps)
            self._setup_started = time.perf_counter()
            super().setup(test_mode)

    def _scene_given(self) -> str:
        """Which scene the run starts from, in words; empty when it has to be reconstructed first."""
        if self.has_scene:
            return "The run was taken up again: its scene was there."
        if self.config.load_ply is not None:
            return f"The run started from --load-ply {self.config.load_ply}."
        path = checkpoint_path(self.config)
        return "" if path is None else f"The run started from the scene of another run: {path}."

    def _load_networks(self) -> None:
        self._encoder = self.config.pipeline.load_tools(self.device, prompt_needed=not self.config.live)

    def _load_scene(self) -> None:
        """The scene that the command line names."""
        path = checkpoint_path(self.config)
        if self.config.load_ply is not None:
            self.loaded = LoadedFile.of(self.config.load_ply)
            self.pipeline.load_ply(self.config.load_ply)
        else:
            assert path is not None, "setup() reconstructs when nothing is given"
            self.loaded = LoadedFile.of(path)
            check_same_coordinates(path, self.pipeline.datamanager.train_dataparser_outputs)
            state = read_checkpoint(path)
            self.pipeline.load_pipeline(state["pipeline"], state["step"])

    def _load_checkpoint(self) -> None:
        """Take the scene, make the selection, and build optimizers over the object's Gaussians alone."""
        self._load_scene()
        if self.config.live:
            self.optimizers = Optimizers({}, {})
            return
        from fasttext2style.history.checkpoint import applied_of_checkpoint
        from fasttext2style.plugin.host.edit_record import scene_of_history

        history = self.history()
        if applied_of_checkpoint(self.pipeline.model.state_dict()) != history.applied:
            behind = f"{self.loaded.path} was behind its history, and was brought to it when the run began"
            self.loaded = replace(self.loaded, moved_on=f"{behind}: only ft2s evaluate can compare.")
        state = scene_of_history(self.pipeline.model, history)
        self._scene_is_there()
        groups = self.pipeline.begin(self._encoder, self.config.max_num_iterations, self.base_dir)
        self.pipeline.keep_as_step(history, state)
        self.optimizers = Optimizers(self.config.optimizers.copy(), groups)

    def _scene_is_there(self) -> None:
        """What comes now is choosing the object and editing it."""
        self.watch.seconds["loading"] = time.perf_counter() - self._setup_started
        self.pipeline.watch = self.watch

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
        from fasttext2style.plugin.host.outside import outside_of_session, tell_verdict
        from fasttext2style.plugin.viewer.run_live import run_live

        with errors_in_words():
            config, history = self.config, self.history()
            run_live(self, history, self.live_action(), config.pipeline.model.prompt or "", config.segmenter)
            saved = self.checkpoint_dir / f"step-{self.step:09d}.ckpt"
            tell_verdict(outside_of_session(self.loaded, saved, history))

    def live_action(self) -> Action:
        """What a live session offers to do with the object."""
        from fasttext2style.live.style import StyleSettings, rehearse, style_action
        from fasttext2style.plugin.host.rates import maker_of

        rehearse(self._encoder, self.pipeline.datamanager.cameras("train"))
        pipeline = self.config.pipeline
        settings = StyleSettings(
            self._encoder, maker_of(self.config.optimizers), pipeline.styler, pipeline.growth, seed=pipeline.seed
        )
        return style_action(settings)
