"""nerfstudio's Trainer, with a load that trains afterwards, saves that lose nothing, and errors in words.

`SceneTrainer` reconstructs a scene, or resumes. `StyleTrainer` starts from a run, a .ply, or reconstructs first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.engine.optimizers import Optimizers

from fasttext2style.captures.from_scene import capture_folder, capture_of_scene
from fasttext2style.envmaps.around import set_environment, where_seen
from fasttext2style.envmaps.files import read_panorama
from fasttext2style.envmaps.formats import read_head
from fasttext2style.evaluation.locality import LoadedFile
from fasttext2style.guidance.encoder import ExplainsItself, TextImageEncoder
from fasttext2style.guidance.image_losses import load_content_loss
from fasttext2style.guidance.prompts import check_prompt
from fasttext2style.history.history import History
from fasttext2style.plugin.host.capture import Capture
from fasttext2style.plugin.host.checkpoints import (
    check_same_coordinates,
    checkpoint_path,
    read_checkpoint,
)
from fasttext2style.plugin.host.run_config import LEAST_STEPS, RunConfig, Started
from fasttext2style.plugin.host.start_checks import (
    COPIES_OF_AN_EDIT,
    NamedScene,
    check_object,
    scene_of_file,
)
from fasttext2style.plugin.scene.trainer import SceneTrainer
from fasttext2style.plugin.style.pipeline import StylePipeline, StylePipelineConfig
from fasttext2style.scene.files.scenes import in_rows
from fasttext2style.selection.choice import SEGMENTER
from fasttext2style.selection.segmenters.load import load_segmenter
from fasttext2style.styling.steps import with_enough_memory
from fasttext2style.terminal.console import errors_in_words, say, warn
from fasttext2style.trust.text import one_line
from fasttext2style.trust.typed import expanded

if TYPE_CHECKING:
    from fasttext2style.live.action import Action


@dataclass
class StyleTrainerConfig(RunConfig):
    """Trainer settings of `fasttext2style`."""

    _target: type = field(default_factory=lambda: StyleTrainer)
    pipeline: StylePipelineConfig = field(default_factory=StylePipelineConfig)
    """Scene, object, encoder and style."""
    live: bool = False
    """Open the scene in the viewer and wait: point at an object, type, press Apply, undo, as often as you like. Ctrl-C
    saves and ends."""
    segmenter: Annotated[str, SEGMENTER] = "encoder"
    """What finds an object by a text in a live session: "encoder" (the embedded one, rough, needs no download), or a
    segmentation model as in `ft2s select --by text`."""
    load_ply: Path | None = None
    """A 3DGS scene to start from: .ply (SuperSplat's compressed one, too), .spz, .sog, .splat, in the coordinates that
    the data parser gives (ns-export writes such). For one in the capture's own coordinates add `nerfstudio-data
    --orientation-method none --center-method none --auto-scale-poses False`; without --data views are made of it."""
    environment: Path | None = None
    """A panorama around the scene (.hdr, .exr, .png, .jpg), seen where it leaves something free: as `ft2s envmap set`,
    as the first step of the run's history. Nothing is trained or measured on it."""
    drop_invalid: bool = False
    """Leave out rows of --load-ply that have NaN or infinite values."""
    reconstruction_steps: int = 0
    """Steps of the reconstruction when neither --load-dir nor --load-ply is given; 0 takes the method's default
    (3,000 on a CPU, 30,000 on CUDA)."""

    no_prompt: ClassVar[str] = 'No style was given: add --prompt "a bear made of gold", --style-image FILE, or both.'

    @property
    def has_scene(self) -> bool:
        """The run's own folder holds its scene already."""
        return False

    def set_timestamp(self) -> None:
        data = self.pipeline.datamanager
        if self.load_ply is not None and data.data is None:
            # The file came without photographs.
            self.load_ply = expanded(self.load_ply)
            with errors_in_words():
                self.data = data.data = capture_folder(self.output_dir, self.load_ply)
            parser: Any = data.dataparser
            if isinstance(parser, NerfstudioDataParserConfig):
                parser.orientation_method, parser.center_method, parser.auto_scale_poses = "none", "none", False
            self.experiment_name = self.experiment_name or self.load_ply.stem
        super().set_timestamp()

    def makes_capture(self) -> bool:
        folder = self.pipeline.datamanager.data
        if self.load_ply is None or folder is None or (folder / "transforms.json").exists():
            return False
        return folder == capture_folder(self.output_dir, self.load_ply)

    def named_capture(self, scene: NamedScene | None) -> Capture:
        if self.makes_capture():
            ply, folder = self.load_ply, self.pipeline.datamanager.data
            assert ply is not None and folder is not None, "only then is one made"
            say(f"No --data: {ply.name} gets views of its own (ft2s capture sets up axis and direction)")
            capture_of_scene(ply, folder, drop_invalid=self.drop_invalid)
        return super().named_capture(scene)

    def check_settings(self) -> None:
        super().check_settings()
        if self.load_ply is not None and (self.load_dir or self.load_checkpoint) and not self.has_scene:
            raise ValueError("--load-ply and --load-dir/--load-checkpoint both name a scene: give one of them.")
        if self.reconstruction_steps and not self.reconstruction_steps >= LEAST_STEPS:
            raise ValueError(
                f"A reconstruction takes {LEAST_STEPS} steps or more, got --reconstruction-steps "
                f"{self.reconstruction_steps}."
            )
        if self.live and not self.is_viewer_enabled():
            raise ValueError(f"A live session needs the viewer, but --vis is {self.vis}: add --vis viewer.")
        if not self.live and not self.pipeline.wish:
            raise ValueError(self.no_prompt)
        if self.environment is not None and not self.has_scene:
            read_head(expanded(self.environment))
        self.pipeline.check()
        self.pipeline.object.check()

    def named_scene(self) -> NamedScene | None:
        if self.has_scene:
            return None
        if self.load_ply is not None:
            return scene_of_file(self.load_ply, self.pipeline.model.sh_degree, self.drop_invalid)
        return super().named_scene()

    def reconstructs(self, scene: NamedScene | None) -> bool:
        return scene is None and not self.has_scene

    def check_scene(self, scene: NamedScene | None, capture: Capture) -> None:
        super().check_scene(scene, capture)
        if self.environment is not None and not self.has_scene:
            read_panorama(expanded(self.environment), at_most=1)  # all of its light, before the work begins
        if not self.reconstructs(scene):  # else the reconstruction tells
            capture.tell()
        if scene is not None:
            History.open(scene.path.parent.parent / "history")
        if self.live:
            load_segmenter(self.segmenter, self.machine.device_type)
        elif not self.has_scene:
            check_object(self.pipeline.object, capture, scene, self.machine.device_type)

    def copies_kept(self, reconstructs: bool) -> int:
        return COPIES_OF_AN_EDIT + (super().copies_kept(True) if reconstructs else 0)

    def picture_bytes(self, capture: Capture) -> int:
        # Before and after of the held-out views, a sheet of them, a film: as much as some views as they are.
        return 20 * 3 * capture.width * capture.height

    def load_networks(self) -> Any:
        encoder = self.pipeline.load_tools(self.machine.device_type)
        self.check_objective(encoder)
        if self.pipeline.style_image is not None:
            say(f"The picture is compared by {self.pipeline.load_features(encoder, self.machine.device_type).name}.")
        return encoder

    def check_objective(self, encoder: TextImageEncoder) -> None:
        """Warns of words that the encoder only guesses.

        Raises:
            ValueError: a prompt that says nothing to it, or a content loss whose network cannot be had.
        """
        objective, device = self.pipeline.styler.objective, self.machine.device_type
        if not self.live and self.pipeline.prompt:
            warning = check_prompt(encoder, self.pipeline.prompt, objective.negatives)
            if warning:
                warn(one_line(warning))
            if isinstance(encoder, ExplainsItself):
                say(one_line(encoder.explain(self.pipeline.prompt)))
        if objective.content != "none":
            # Only to see that its weights can be had, and that the encoder shows what is compared.
            black = torch.zeros(1, encoder.resolution, encoder.resolution, 3, device=device)
            load_content_loss(objective.content, encoder, objective.content_weights, device)(black, black)

    def keep_inputs(self) -> None:
        if self.load_ply is not None:
            given = self.get_base_dir() / "given.ply"
            # A file of rows: reports and histories compare with what was loaded one by one.
            why = "" if self.has_scene else in_rows(self.load_ply, given)
            if why:
                say(why)
                self.load_ply, self.drop_invalid = given, False
        if isinstance(self.pipeline, StylePipelineConfig):
            self.pipeline.keep_picture(self.get_base_dir())


class StyleTrainer(SceneTrainer):
    """Styles an object: networks first (their weights may be missing), then the scene, then the steps."""

    config: StyleTrainerConfig
    pipeline: StylePipeline
    phase = "Styling"
    loaded: LoadedFile
    """What the scene was loaded from."""
    _begins = False
    """The run has no history of its own yet."""
    not_reconstructed = ""
    """Why this run did not reconstruct the scene; empty: it did."""

    def prepare(self, started: Started) -> None:
        from fasttext2style.plugin.scene.reconstruction import reconstruct

        self._networks, self.watch = started.networks, started.watch
        self.not_reconstructed = self._scene_given()
        if not self.not_reconstructed:
            with self.watch.phase("reconstruction"):
                self.config.load_dir = reconstruct(self.config, self.config.reconstruction_steps)
        self._setup_started = time.perf_counter()

    def _scene_given(self) -> str:
        """Which scene the run starts from, in words; empty when it has to be reconstructed first."""
        if self.config.has_scene:
            return "The run was taken up again: its scene was there."
        if self.config.load_ply is not None:
            return f"The run started from --load-ply {self.config.load_ply}."
        path = checkpoint_path(self.config)
        return "" if path is None else f"The run started from the scene of another run: {path}."

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
        self.surround(history)
        state = scene_of_history(self.pipeline.model, history)
        self._scene_is_there()
        groups = self.pipeline.begin(self._networks, self.config.max_num_iterations, self.base_dir)
        self.pipeline.keep_as_step(history, state)
        self.optimizers = Optimizers(self.config.optimizers.copy(), groups)

    def _scene_is_there(self) -> None:
        """What comes now is choosing the object and editing it."""
        self.watch.seconds["loading"] = time.perf_counter() - self._setup_started
        self.pipeline.watch = self.watch

    def train_iteration(self, step: int) -> Any:
        iteration = super().train_iteration
        return with_enough_memory(lambda: iteration(step), self.optimizers.optimizers.values(), self.pipeline.halve)

    def before_last_save(self) -> None:
        self.pipeline.record_edit()

    def _after_train(self) -> None:
        self.progress.stop()
        say("Writing pictures, video, .ply and report")
        super()._after_train()

    def surround(self, history: History) -> None:
        """Put what --environment names around the scene, as a step, unless this run did so when it began.

        Raises:
            ValueError: the step cannot be written.
        """
        file = self.config.environment
        if file is not None and self._begins:
            set_environment(history, file)
            seen = where_seen(self.pipeline.model.gaussians(), self.pipeline.datamanager.cameras("train"))
            say(f"Around the scene: {file.name}. {seen}")

    def history(self) -> History:
        """The history of this run; of a run that goes on from another one's scene, with the steps of that one.

        Raises:
            ValueError: a damaged history, or one that cannot be carried over.
        """
        history, path = History.open(self.base_dir / "history"), checkpoint_path(self.config)
        self._begins = not history.steps
        if history.steps or self.config.load_ply is not None or path is None:
            return history
        earlier = History.open(path.parent.parent / "history")
        return earlier.carried_to(history.folder) if earlier.steps else history

    def train(self) -> None:
        if not self.config.live:
            super().train()
            return
        from fasttext2style.evaluation.outside import outside_of_session, tell_verdict
        from fasttext2style.plugin.host.chatter import rich_is_quiet
        from fasttext2style.plugin.viewer.run_live import run_live

        # viser tells rich of every tab that opens or closes, also of those that the end of the session closes.
        with errors_in_words(), self.lock, rich_is_quiet():
            config, history = self.config, self.history()
            self.surround(history)
            run_live(self, history, self.live_action(), config.pipeline.prompt, config.segmenter)
            saved = self.checkpoint_dir / f"step-{self.step:09d}.ckpt"
            tell_verdict(outside_of_session(self.loaded, saved, history))

    def live_action(self) -> Action:
        """What a live session offers to do with the object."""
        from fasttext2style.live.style import StyleSettings, rehearse, style_action
        from fasttext2style.plugin.host.rates import maker_of

        rehearse(self._networks, self.pipeline.datamanager.cameras("train"))
        pipeline = self.config.pipeline
        settings = StyleSettings(
            self._networks,
            maker_of(self.config.optimizers),
            pipeline.styler,
            pipeline.growth,
            pipeline.seed,
            pipeline.picture,
            pipeline.feature_weights,
        )
        return style_action(settings, pipeline.read_picture())
