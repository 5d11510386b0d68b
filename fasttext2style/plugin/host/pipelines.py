"""What the methods' pipelines share: data and model of a scene; and of those that change an object, its choice.

`fasttext2style-scene` trains with nerfstudio's own pipeline. The text style and the rounds are siblings over
`ObjectPipeline`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import tyro
from nerfstudio.pipelines.base_pipeline import VanillaPipeline, VanillaPipelineConfig
from torch import nn

from fasttext2style.envmaps.around import export_around, seen_behind, surroundings_of
from fasttext2style.evaluation.looks import camera_path
from fasttext2style.evaluation.object_pictures import write_object_picture
from fasttext2style.evaluation.results import HeldOut, Outcome, write_results
from fasttext2style.evaluation.timing import Stopwatch
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import AUTO, chosen_encoder, load_encoder
from fasttext2style.history.history import History
from fasttext2style.plugin.host.datamanager import SceneDatamanager, SceneDatamanagerConfig
from fasttext2style.plugin.host.model import SceneModel, SceneModelConfig
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.ply import read_ply
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.choice import ObjectChoice
from fasttext2style.selection.choose import choose_among
from fasttext2style.selection.doubts import doubts
from fasttext2style.selection.noun import named_among
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.styler import StylerConfig
from fasttext2style.terminal.console import say, warn
from fasttext2style.terminal.question import can_ask, is_yes
from fasttext2style.trust.text import one_line
from fasttext2style.trust.typed import OrPath

LONGEST_VIDEO = 600.0
"""Seconds; its pictures are held until it is written."""


@dataclass
class ScenePipelineConfig(VanillaPipelineConfig):
    """Data and model of a scene."""

    _target: type = field(default_factory=lambda: VanillaPipeline)
    datamanager: SceneDatamanagerConfig = field(default_factory=SceneDatamanagerConfig)
    """Photographs and cameras."""
    model: SceneModelConfig = field(default_factory=SceneModelConfig)
    """The Gaussians."""


@dataclass
class ObjectPipelineConfig(ScenePipelineConfig):
    """Settings of methods that change an object; in rounds, encoder and styler are those of the text loss."""

    encoder: Annotated[str, tyro.conf.arg(aliases=["--encoder"])] = "ViT-B-32"
    """Any open_clip model name; "tiny": the embedded encoder, which needs no download and knows about 120 words;
    "offline": things, patterns and materials by installed packages; "auto": the best of these that is on this machine;
    or one of your own as module:attribute."""
    encoder_weights: Annotated[str, OrPath(), tyro.conf.arg(aliases=["--encoder-weights"])] = ""
    """open_clip tag or local file of the encoder's weights; empty takes the model's default ones."""
    object: ObjectChoice = field(default_factory=ObjectChoice)
    """Which Gaussians are the object."""
    confirm: Annotated[bool, tyro.conf.arg(aliases=["--confirm"])] = False
    """Show the object in a picture and wait for a yes before anything is edited."""
    styler: StylerConfig = field(default_factory=StylerConfig)
    """What a styling step does."""
    growth: GrowthConfig = field(default_factory=GrowthConfig)
    """Densification inside the object."""
    seed: int = 0
    """Draws negatives, views and patches."""
    video_seconds: float = 4.0
    """Length of the before/after video; 0 makes none."""

    @property
    def prompt(self) -> str:
        """The sentence or instruction; nerfstudio's --prompt is a setting of its models."""
        return (self.model.prompt or "").strip()

    @property
    def wish(self) -> str:
        """What the object should become, in words, whatever it was asked for by; empty if nothing was."""
        return self.prompt

    def check(self) -> None:
        """Raises ValueError for settings out of range or that contradict each other; loads nothing."""
        self.check_around()
        self.styler.check()
        if self.confirm and not can_ask():
            raise ValueError("--confirm True waits for an answer, and nobody sits at a terminal: leave it out.")
        if self.growth.enabled and ("means" not in self.styler.train or self.styler.composite):
            raise ValueError(
                "Growing needs places to train and renders of the object alone: add means to --pipeline.styler.train "
                "and leave --pipeline.styler.composite False, or set --pipeline.growth.enabled False."
            )

    def check_around(self) -> None:
        """Of `check`, what has nothing to do with how the object is changed."""
        self.growth.check()
        if not 0 <= self.video_seconds <= LONGEST_VIDEO:
            raise ValueError(
                f"--pipeline.video-seconds must be 0 (no video) to {LONGEST_VIDEO:.0f}, got {self.video_seconds}."
            )

    def load_encoder(self, device: str) -> TextImageEncoder:
        """The encoder that these settings name; "auto" is replaced by what it came to, which the run keeps.

        Raises:
            ValueError: an unknown model, weights that cannot be had.
        """
        if self.encoder == AUTO:
            self.encoder, why = chosen_encoder(self.encoder_weights or None)
            say(why)
        return load_encoder(self.encoder, self.encoder_weights or None, torch.device(device))


class ObjectPipeline(VanillaPipeline):
    """Holds the scene; once an edit has begun, the object's parameters are what trains."""

    config: ObjectPipelineConfig
    datamanager: SceneDatamanager
    edit: EditableObject
    selection_origin: str
    watch: Stopwatch
    """The trainer's."""
    folder: Path
    _merged_for: torch.Tensor | None = None
    """The weights of the grown object that was put into the scene."""
    has_begun = False
    """An edit has begun. A live session never begins one: it has loops of its own."""

    @property
    def model(self) -> SceneModel:
        return cast(SceneModel, self._model)

    def load_ply(self, path: Path) -> None:
        """Take the scene from a 3DGS .ply of any SH degree up to the model's.

        Raises:
            ValueError: not such a file, or a higher SH degree than the model's.
        """
        gaussians = read_ply(path)
        degree = self.model.config.sh_degree
        if gaussians.sh_degree > degree:
            raise ValueError(
                f"{path} has SH degree {gaussians.sh_degree}, the model {degree}: add --pipeline.model.sh-degree "
                f"{gaussians.sh_degree}."
            )
        self.model.load_gaussians(gaussians.with_sh_degree(degree))

    def choose_object(self, folder: Path, encoder: TextImageEncoder | None) -> Selection:
        """The object as the settings name it, in the scene as it is; shown in `folder`/object.png and questioned.

        Args:
            encoder: tells which of several candidates the sentence names; None if there is none.

        Raises:
            ValueError: what was asked for is not there, selects nothing, or is not what was meant.
        """
        earlier = self.model.selection
        # A session that was saved with nothing selected has said nothing about the object.
        earlier = earlier if bool(earlier.any()) else torch.ones_like(earlier)
        masks_are_ours = self.datamanager.config.object_masks is not None
        scene, cameras = self.model.gaussians().detach(), self.datamanager.cameras("train")
        selection, candidates = choose_among(
            self.config.object, scene, cameras, self.datamanager.masks(), earlier, masks_are_ours
        )
        if len(candidates) > 1 and self.config.object.kind == "auto":
            named = named_among(encoder, self.config.prompt, scene, cameras, candidates)
            selection = candidates[named.number]
            if named.said:
                say(one_line(named.said))
        warning = selection.check_usable()
        say(f"Object: {selection.count:,} of {len(scene):,} Gaussians ({one_line(selection.origin)}).")
        for doubt in [warning] if warning else doubts(scene, cameras, selection.weights):
            warn(doubt)
        self._show(folder / "object.png", scene, cameras, selection, candidates)
        if self.config.confirm and not is_yes("Is it the right one?"):
            raise ValueError(
                "The object is not the right one; nothing was edited. Choose another: --object 2 takes the second "
                "candidate, --object-click VIEW X Y a point on it (ft2s views RUN shows views with their pixels), "
                "--object box or --object sphere a shape."
            )
        return selection

    def _show(
        self, path: Path, scene: Gaussians, cameras: Cameras, selection: Selection, candidates: list[Selection]
    ) -> None:
        """A picture of the object, and of what else it could be."""
        objects = {f"The object: {selection.origin}": selection.weights}
        if len(candidates) > 1:
            objects = {
                f"--object {number}" + (": the object" if one is selection else ""): one.weights
                for number, one in enumerate(candidates, start=1)
            }
        write_object_picture(path, scene, cameras, objects)
        others = f", and {len(candidates) - 1} more to choose from (--object)" if len(candidates) > 1 else ""
        say(f"The object in four views{others}: {path}")

    def begin_edit(self, selection: Selection, folder: Path) -> EditableObject:
        """The object as parameters; what is left of the run goes into `folder`."""
        scene = self.model.gaussians()
        self.folder, self.selection_origin, self.has_begun = folder, selection.origin, True
        self.edit = EditableObject(scene, selection)
        return self.edit

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The object's parameter groups, for nerfstudio's optimizers."""
        return {name: [parameter] for name, parameter in self.edit.parameters.items()}

    def write_back(self) -> None:
        """Put the object as it is now into the scene that is rendered, saved and exported."""
        edit, model = self.edit, self.model
        if edit.has_grown and self._merged_for is not edit.weights:
            # Growth has replaced the weights; until it does again the object keeps its place at the end of the scene.
            model.set_gaussians(edit.merged())
            model.selection, self._merged_for = edit.merged_weights(), edit.weights
            return
        for name, parameter in edit.parameters.items():
            column = model.gauss_params[name].data
            if edit.has_grown:
                column[len(column) - len(edit) :] = parameter.detach()
            else:
                column.index_copy_(0, edit.rows, parameter.detach())

    def outcome(self, trainer: Any, facts: dict[str, Any], as_loaded: dict[str, Path] | None = None) -> Outcome:
        """The edit, done and saved, as its results need it.

        Args:
            facts: what the method knows for the report.
            as_loaded: files that hold the scene as it was before the edit.
        """
        data, seconds, panorama = self.datamanager, self.config.video_seconds, self.model.environment
        around = surroundings_of(History.open(self.folder / "history"))
        return Outcome(
            folder=self.folder,
            prompt=self.config.wish,
            loaded=trainer.loaded,
            checkpoint=trainer.checkpoint_dir / f"step-{trainer.step:09d}.ckpt",
            before=self.edit.scene,
            after=self.model.gaussians(),
            object_rows=self.edit.rows,
            weights=self.model.selection,
            held_out=HeldOut(data.cameras("eval"), data.photographs("eval"), data.held_out_masks()),
            film=camera_path(data.cameras("train"), seconds) if seconds > 0 else None,
            watch=self.watch,
            facts=facts | ({} if around is None else {"surroundings": around}),
            not_reconstructed=trainer.not_reconstructed,
            as_loaded=as_loaded or {},
            behind=None if panorama is None else partial(seen_behind, panorama),
        )

    def write_results(self, outcome: Outcome, headline: str, again: str = "") -> None:
        """As `evaluation.results.write_results`, and what is around the scene beside its .ply."""
        write_results(outcome, headline, again)
        ply = self.folder / "results" / "styled.ply"
        export_around(ply, History.open(self.folder / "history"), self.model.background_color)
