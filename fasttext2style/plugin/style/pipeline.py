"""Method `fasttext2style`: the host's pipeline around `styling`. Scene and encoder in, styled scene and results out."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import tyro
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.utils import writer
from torch import nn

from fasttext2style.captures.style_pictures import StylePicture, read_style_picture, wish_of
from fasttext2style.evaluation.graders import second_judge
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.feature_maps import FeatureMaps, load_feature_maps
from fasttext2style.guidance.load import AUTO, encoder_is_here
from fasttext2style.guidance.picture_objective import PictureObjective, PictureStyleConfig
from fasttext2style.plugin.host.pipelines import ObjectPipeline, ObjectPipelineConfig
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.styling.growth import ObjectGrowth
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.styling.styler import ObjectStyler
from fasttext2style.terminal.console import warn
from fasttext2style.trust.typed import OrPath

if TYPE_CHECKING:
    from fasttext2style.history.history import History
    from fasttext2style.history.state import SceneState
    from fasttext2style.plugin.host.edit_record import EditRecord


@dataclass
class StylePipelineConfig(ObjectPipelineConfig):
    """Settings of a style, by a sentence, a picture, or both."""

    _target: type = field(default_factory=lambda: StylePipeline)
    style_image: Annotated[Path | None, tyro.conf.arg(aliases=["--style-image"])] = None
    """A picture that says how the object should look, alone or beside --prompt: a material, a painting. It is kept in
    the folder of the run."""
    feature_weights: Annotated[str, OrPath(("encoder",)), tyro.conf.arg(aliases=["--feature-weights"])] = ""
    """What compares the object with --style-image: a file of torchvision's vgg16 or squeezenet1_1 weights, or "encoder"
    for the encoder's own features. Empty takes vgg16 or squeezenet1_1 from torch's cache if they are there, else the
    encoder; nothing is downloaded."""
    picture: PictureStyleConfig = field(default_factory=PictureStyleConfig)
    """How the object is compared with --style-image."""

    @property
    def wish(self) -> str:
        return wish_of(self.prompt, "" if self.style_image is None else self.style_image.name)

    def check(self) -> None:
        """As all pipelines' settings; and the picture is read."""
        super().check()
        self.picture.check()
        self.read_picture()
        if self.style_image is not None and self.styler.composite:
            raise ValueError(
                "--style-image is compared with the object alone: leave --pipeline.styler.composite False."
            )

    def read_picture(self) -> StylePicture | None:
        """The style picture, if one is named; raises ValueError for one that cannot be read."""
        return None if self.style_image is None else read_style_picture(self.style_image)

    def load_tools(self, device: str) -> TextImageEncoder:
        """The frozen network; raises ValueError for an unknown one, and for weights that cannot be had."""
        alone = self.style_image is not None and not self.prompt
        if alone and self.encoder == type(self).encoder and not self.encoder_weights and not self._encoder_is_here():
            return replace(self, encoder=AUTO).load_encoder(device)  # a picture alone is no reason for a download
        return self.load_encoder(device)

    def _encoder_is_here(self) -> bool:
        try:
            return encoder_is_here(self.encoder)
        except ValueError:  # nor can it be had
            return False

    def keep_picture(self, folder: Path) -> None:
        """Keep the picture in the folder of a run, and mean that one from now on: the other may change or go."""
        picture = self.read_picture()
        if picture is not None and self.style_image is not None:
            kept = folder.absolute() / "style_image" / f"{self.style_image.stem}.png"
            with atomic_write(kept) as stream:
                stream.write(picture.png)
            self.style_image = kept

    def load_features(self, encoder: TextImageEncoder, device: str) -> FeatureMaps:
        """What compares with pictures; raises ValueError for a file that is not there or another network's."""
        return load_feature_maps(encoder, self.feature_weights, torch.device(device))


class StylePipeline(ObjectPipeline):
    """Holds the scene; after `begin`, trains the object alone."""

    config: StylePipelineConfig
    styler: ObjectStyler
    record: EditRecord | None = None
    _picture: StylePicture | None = None

    def begin(self, encoder: TextImageEncoder, steps: int, folder: Path) -> dict[str, list[nn.Parameter]]:
        """Select the object and prepare the style; returns the parameter groups to optimize.

        Raises:
            ValueError: nothing to select, no view of it, or a prompt that says nothing to the encoder.
        """
        self.steps = steps
        with self.watch.phase("selection"):
            selection = self.choose_object(folder, encoder)
        self.begin_edit(selection, folder)
        cameras, config = self.datamanager.cameras("train"), self.config
        with self.watch.phase("preparation"):
            compared = self._load_picture(encoder)
            self.styler = ObjectStyler(self.edit, cameras, encoder, config.prompt, config.styler, config.seed, compared)
        self.model.selection = self.edit.merged_weights()
        self._styling_started = time.perf_counter()
        return self.groups()

    def _load_picture(self, encoder: TextImageEncoder) -> PictureObjective | None:
        config, device = self.config, str(self.device)
        self._picture = config.read_picture()
        if self._picture is None:
            return None
        return PictureObjective(config.picture, config.load_features(encoder, device), self._picture.tensor, device)

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
                self.config.wish,
                self.styler.views[0],
                prompt=self.config.prompt,
                settings={"steps": self.steps, "object": self.selection_origin, "encoder": self.styler.encoder.name}
                | self._picture_facts(),
                picture=None if self._picture is None else self._picture.png,
                seed=self.config.seed,
                seconds=round(time.perf_counter() - self._styling_started, 2),
                metrics={
                    f"similarity_{n}": float(self.styler.similarity(g, at_most=8).mean()) for n, g in pair.items()
                },
            )
        except ValueError as error:
            warn(f"The edit is not in the history: {error}")

    def get_train_loss_dict(self, step: int) -> tuple[dict, dict[str, torch.Tensor], dict[str, Any]]:
        losses, info = self.styler.losses()
        self.object_steps.begin(info)
        return {}, losses, {"gaussians": float(len(self.edit))}

    def halve(self) -> int:
        """Half as many views a step from now on; tells how many they were."""
        return self.styler.sampler.halve()

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        if not self.has_begun:
            return []
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
        super().write_back()
        if self.edit.has_grown and self.record is not None:
            self.record.take_earlier()

    def get_train_rays_per_batch(self) -> int:
        return self.styler.size**2 * self.styler.sampler.batch

    @torch.no_grad()
    def _log_pictures(self, step: int) -> None:
        before = self.styler.originals(torch.zeros(1, dtype=torch.long))[0][0]
        after = self.styler.render(self.edit.gaussians(()).detach(), self.styler.views[[0]])[0][0]
        writer.put_image("Object", torch.cat([before, after], dim=1), step)

    def _picture_facts(self) -> dict[str, Any]:
        """What is to be known of the style picture, for reports and steps."""
        picture, compared = self._picture, self.styler.picture
        if picture is None or compared is None:
            return {}
        config = compared.config
        kept = {"file": str(self.config.style_image), "sha256": hashlib.sha256(picture.png).hexdigest()}
        how = {"loss": config.loss, "features": compared.features.name, "color_transfer": config.color_transfer}
        return {"style_image": kept | how}

    @torch.no_grad()
    def _write_results(self, trainer: Any) -> None:
        with self.watch.phase("results"):
            judged = self._judged()
        similarity = {
            "before": float(self.styler.similarity(self.edit.original).mean()),
            "after": float(self.styler.similarity(self.edit.gaussians(()).detach()).mean()),
        }
        facts = {
            "prompt": self.config.prompt,
            "encoder": self.styler.encoder.name,
            "object": self.selection_origin,
            "device": str(self.device),
            "seed": {"style": self.config.seed, "machine": trainer.config.machine.seed},
            "steps": self.steps,
            "similarity": similarity,
            **judged,
            "negatives": [] if self.styler.objective is None else list(self.styler.objective.negatives),
        } | self._picture_facts()
        if self.styler.picture is not None:
            facts["style_image"]["similarity"] = {
                "before": float(self.styler.picture_similarity(self.edit.original).mean()),
                "after": float(self.styler.picture_similarity(self.edit.gaussians(()).detach()).mean()),
            }
        change = f"{similarity['before']:.3f} -> {similarity['after']:.3f}"
        # Not the number of `ft2s evaluate`, which looks at it among its surroundings.
        headline = (
            f"Similarity to {self.config.prompt or self.config.wish}: {change} (the object alone, training views)."
        )
        self.write_results(self.outcome(trainer, facts), headline)

    def _judged(self) -> dict[str, Any]:
        """Similarity by an encoder that was not optimised, if one is on this machine and knows the prompt."""
        styler, prompt = self.styler, self.config.prompt
        judge = second_judge(styler.encoder, prompt, str(self.device)) if prompt else None
        if judge is None:
            return {}
        states = {"before": self.edit.original, "after": self.edit.gaussians(()).detach()}
        similarity = {when: styler.judged(it, judge, prompt) for when, it in states.items()}
        return {"second_judge": {"encoder": judge.name, **similarity}}
