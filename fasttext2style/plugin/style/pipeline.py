"""Method `fasttext2style`: the host's pipeline around `styling`. Scene and encoder in, styled scene and results out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import torch
import tyro
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.pipelines.base_pipeline import VanillaPipeline
from nerfstudio.utils import writer
from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape
from torch import nn

from fasttext2style.evaluation.timing import Stopwatch
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import load_encoder
from fasttext2style.plugin.host.datamanager import SceneDatamanager
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.scene.pipeline import ScenePipelineConfig
from fasttext2style.scene.files.ply import read_ply
from fasttext2style.selection.choice import ObjectChoice
from fasttext2style.selection.choose import choose
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig, ObjectGrowth
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.styling.styler import ObjectStyler, StylerConfig

if TYPE_CHECKING:
    from fasttext2style.history.history import History
    from fasttext2style.history.state import SceneState
    from fasttext2style.plugin.host.edit_record import EditRecord


@dataclass
class StylePipelineConfig(ScenePipelineConfig):
    """Settings of a text style."""

    _target: type = field(default_factory=lambda: StylePipeline)
    encoder: Annotated[str, tyro.conf.arg(aliases=["--encoder"])] = "ViT-B-32"
    """Any open_clip model name, or "tiny": the embedded encoder, which needs no download and knows about 120 words."""
    encoder_weights: Annotated[str, tyro.conf.arg(aliases=["--encoder-weights"])] = ""
    """open_clip tag or local file of the encoder's weights; empty takes the model's default ones."""
    object: ObjectChoice = field(default_factory=ObjectChoice)
    """Which Gaussians are the object."""
    styler: StylerConfig = field(default_factory=StylerConfig)
    """What a styling step does."""
    growth: GrowthConfig = field(default_factory=GrowthConfig)
    """Densification inside the object."""
    seed: int = 0
    """Draws negatives, views and patches."""
    video_seconds: float = 4.0
    """Length of the before/after video; 0 makes none."""

    def load_encoder(self, device: str, prompt_needed: bool = True) -> TextImageEncoder:
        """The encoder that these settings name; called first of all, for everything else takes longer.

        Raises:
            ValueError: no prompt, settings that contradict each other, an unknown model, weights that cannot be had.
        """
        if prompt_needed and not (self.model.prompt or "").strip():
            raise ValueError('No style was given: add --prompt "a bear made of gold".')
        if self.growth.enabled and ("means" not in self.styler.train or self.styler.composite):
            raise ValueError(
                "Growing needs places to train and renders of the object alone: add means to --pipeline.styler.train "
                "and leave --pipeline.styler.composite False, or set --pipeline.growth.enabled False."
            )
        return load_encoder(self.encoder, self.encoder_weights or None, torch.device(device))


class StylePipeline(VanillaPipeline):
    """Holds the scene; after `begin`, trains the object alone."""

    config: StylePipelineConfig
    datamanager: SceneDatamanager
    edit: EditableObject
    styler: ObjectStyler
    watch: Stopwatch
    record: EditRecord | None = None

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

    def begin(self, encoder: TextImageEncoder, steps: int, folder: Path) -> dict[str, list[nn.Parameter]]:
        """Select the object and prepare the style; returns the parameter groups to optimize.

        Raises:
            ValueError: nothing to select, no view of it, or a prompt that says nothing to the encoder.
        """
        self.watch = Stopwatch()
        self.folder, self.steps = folder, steps
        cameras = self.datamanager.cameras("train")
        scene = self.model.gaussians()
        with self.watch.phase("selection"):
            masks_are_ours = self.datamanager.config.object_masks is not None
            selection = choose(
                self.config.object, scene, cameras, self.datamanager.masks(), self._previous_selection(), masks_are_ours
            )
        self.selection_origin = selection.origin
        warning = selection.check_usable()
        if warning:
            CONSOLE.log(f"[yellow]{warning}[/yellow]")
        CONSOLE.log(f"Object: {selection.count:,} of {len(scene):,} Gaussians ({selection.origin}).")
        self.edit = EditableObject(scene, selection)
        with self.watch.phase("preparation"):
            self.styler = ObjectStyler(
                self.edit, cameras, encoder, self.config.model.prompt or "", self.config.styler, self.config.seed
            )
        if self.styler.objective.warning:
            CONSOLE.log(f"[yellow]{self.styler.objective.warning}[/yellow]")
        self.model.selection = self.edit.merged_weights()
        self._styling_started = time.perf_counter()
        return {name: [parameter] for name, parameter in self.edit.parameters.items()}

    def _previous_selection(self) -> torch.Tensor:
        """[gaussians] weights that came with the loaded run; all ones when there were none, or an empty one."""
        weights = self.model.selection
        return weights if bool(weights.any()) else torch.ones_like(weights)

    def keep_as_step(self, history: History, state: SceneState) -> None:
        """Keep what this run does to the object as a step of a history.

        Args:
            history: of the run.
            state: the scene before this run chose its object.
        """
        from fasttext2style.plugin.host.edit_record import EditRecord

        self.record = EditRecord(history, state, self.model, self.edit, self.selection_origin)

    def record_edit(self) -> None:
        """After the last step, before the last checkpoint. A history that cannot be written does not end the run."""
        if self.record is None:
            return
        self.write_back()
        pair = {"before": self.edit.original, "after": self.edit.gaussians(()).detach()}
        try:
            self.record.finish(
                self.config.model.prompt or "",
                self.styler.views[0],
                settings={"steps": self.steps, "object": self.selection_origin, "encoder": self.styler.encoder.name},
                seed=self.config.seed,
                seconds=round(time.perf_counter() - self._styling_started, 2),
                metrics={
                    f"similarity_{n}": float(self.styler.similarity(g, at_most=8).mean()) for n, g in pair.items()
                },
            )
        except ValueError as error:
            CONSOLE.print(f"[bold red]The edit is not in the history:[/bold red] {escape(str(error))}")

    def get_train_loss_dict(self, step: int) -> tuple[dict, dict[str, torch.Tensor], dict[str, Any]]:
        losses, info = self.styler.losses()
        self.object_steps.begin(info)
        return {}, losses, {"gaussians": float(len(self.edit))}

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        if getattr(self, "edit", None) is None:
            return []  # a live session has its own loop
        assert attributes.optimizers is not None, "nerfstudio builds optimizers before it asks for callbacks"
        optimizers = attributes.optimizers.optimizers
        growth = ObjectGrowth(self.config.growth, self.edit, optimizers, self.steps)
        self.object_steps = ObjectSteps(self.edit, optimizers, growth, self.styler.re_anchor)

        def after_step(step: int) -> None:
            # Before the viewer looks: numbers of Gaussians change here, then the scene is put together again.
            self.object_steps.end(step)
            self.write_back()
            if step % 50 == 0:
                self._log_pictures(step)

        def after_train(step: int) -> None:
            self.watch.seconds["styling"] = time.perf_counter() - self._styling_started
            self.write_back()
            self.object_steps.close()
            self._write_results(attributes.trainer)

        return [
            TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN_ITERATION], after_step),
            TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN], after_train),
        ]

    def write_back(self) -> None:
        """Put the object as it is now into the scene that is rendered, saved and exported."""
        if self.edit.has_grown:
            self.model.set_gaussians(self.edit.merged())
            self.model.selection = self.edit.merged_weights()
            if self.record is not None:
                self.record.take_earlier()
            return
        for name, parameter in self.edit.parameters.items():
            self.model.gauss_params[name].data.index_copy_(0, self.edit.rows, parameter.detach())

    def get_train_rays_per_batch(self) -> int:
        return self.styler.size**2 * self.styler.sampler.batch

    @torch.no_grad()
    def _log_pictures(self, step: int) -> None:
        before = self.styler.originals(torch.zeros(1, dtype=torch.long, device=self.device))[0][0]
        after = self.styler.render(self.edit.gaussians(()).detach(), self.styler.views[[0]])[0][0]
        writer.put_image("Object", torch.cat([before, after], dim=1), step)

    def _write_results(self, trainer: Any) -> None:
        from fasttext2style.plugin.host.results import write_results

        write_results(self, trainer)
