"""A sentence, a picture, or both on the present object, step by step in a session: each step is seen, and the whole can
be taken back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from fasttext2style.captures.style_pictures import StylePicture, wish_of
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.feature_maps import load_feature_maps
from fasttext2style.guidance.gallery import GALLERY
from fasttext2style.guidance.picture_objective import PictureObjective, PictureStyleConfig
from fasttext2style.live.action import Action, Order
from fasttext2style.live.asked_color import plain_color, told_color
from fasttext2style.live.edit import LiveEdit
from fasttext2style.live.objects import belonging
from fasttext2style.live.paint import Paint
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.style_picture import SETTING, note_picture
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.as_step import object_before, thumbnail
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig, ObjectGrowth
from fasttext2style.styling.steps import MakeOptimizers, ObjectSteps, TrainingDiverged, with_enough_memory
from fasttext2style.styling.styler import ObjectStyler, StylerConfig

PRESETS = {"quick": 60, "normal": 200, "fine": 500}
"""Quality -> styling steps."""
FORMS = {
    "colors": ("features_dc", "features_rest"),
    "colors and form": ("features_dc", "features_rest", "means", "scales"),
}
"""What changes -> parameter groups. With form the object also grows Gaussians where the style pulls hardest."""
_HOW_TO_COLOR = " For one even color undo this, and say nothing but the color, or use Tint under Colors."
_VIEWS = 32


@dataclass(frozen=True)
class StyleSettings:
    """What all styles of a session share; the run's own settings."""

    encoder: TextImageEncoder
    """Compares renders with sentences; it stays loaded."""
    make_optimizers: MakeOptimizers
    """Optimizers for an object's parameters."""
    styler: StylerConfig = field(default_factory=StylerConfig)
    growth: GrowthConfig = field(default_factory=GrowthConfig)
    seed: int = 0
    picture: PictureStyleConfig = field(default_factory=PictureStyleConfig)
    """How the object is compared with pictures."""
    feature_weights: str = ""
    """What compares them, as `load_feature_maps` takes it."""


def style_action(settings: StyleSettings, picture: StylePicture | None = None) -> Action:
    """CLIP styling, as the panel offers it, at first with this picture."""

    def job(order: Order) -> ApplyStyle | Paint:
        if order.paints and plain_color(order.prompt) is not None:
            return Paint(order.prompt)
        return ApplyStyle(settings, order.prompt.strip(), order.speed, order.quality, order.form)

    return Action(
        {"Apply": job},
        example="a bear made of gold",
        qualities={name: f"{steps} steps" for name, steps in PRESETS.items()},
        gallery=GALLERY,
        speed_hint="How fast it changes. How much of a finished edit is in force: see Objects.",
        forms=tuple(FORMS),
        forms_hint="Form is rougher: surfaces may become flaky.",
        takes_pictures=True,
        paints=True,
        picture=picture,
        load_encoder=lambda: settings.encoder,
    )


@dataclass(frozen=True)
class ApplyStyle:
    """Style the present object by a sentence, the present picture, or both, as one step of the history."""

    settings: StyleSettings
    prompt: str
    speed: float = 1.0
    """Scales the learning rates: 0.5 changes colours half as fast."""
    preset: str = "normal"
    form: str = "colors"
    once: bool = True

    @property
    def title(self) -> str:
        return f"Style: {self.prompt.strip() or 'by the picture'}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        picture = scene.style_picture
        wish = wish_of(self.prompt, "" if picture is None else picture.name)
        if not wish:
            raise ValueError(
                'There is no sentence yet. Type what the object should become, such as "a bear made of gold", or '
                "choose a picture."
            )
        if scene.selection.count == 0:
            raise ValueError("Nothing is selected yet. Click on the object, or name it, then press Apply.")
        owner = belonging(scene)
        started, steps = time.perf_counter(), PRESETS[self.preset]
        progress.report(0, steps)
        style = _Style(scene, self)
        done = 0
        try:
            while done < steps and not progress.stopping:
                style.step(done)
                done += 1
                style.live.write()
                progress.report(done, steps)
            style.close()
            if done == 0:
                style.live.take_back()
                return "Stopped before the first step: nothing has changed."
            metrics = style.metrics()
            facts = {"steps": done, "speed": self.speed, "preset": self.preset, "form": self.form}
            step = scene.history.record(
                style.live.delta(),
                wish,
                prompt=self.prompt.strip(),
                settings=facts
                | {"object": scene.selection.origin, "encoder": self.settings.encoder.name}
                | style.picture_facts()
                | owner,
                seed=self.settings.seed,
                seconds=round(time.perf_counter() - started, 2),
                metrics=metrics,
                thumbnail=thumbnail(scene.gaussians, style.styler.views[0]),
                picture=None if picture is None else picture.png,
            )
        except ValueError as error:
            style.live.take_back()
            raise ValueError(f"{error} The scene is unchanged.") from error
        except BaseException:
            style.live.take_back()
            raise
        finally:
            style.close()
        if picture is not None:
            note_picture(scene, step.id)
        scene.tell("history")
        ended = "Done" if done == steps else f"Stopped after {done} of {steps} steps (Undo takes it back)"
        nearer = metrics["similarity_after"] > metrics["similarity_before"]
        told = f"{ended}: {wish}." + ("" if nearer else " It does not look more like that than before.")
        missed = told_color(self.prompt, style.edit.gaussians(()).detach(), style.edit.weights)
        return told + missed + (_HOW_TO_COLOR if missed else "")


def rehearse(encoder: TextImageEncoder, cameras: Cameras) -> None:
    """One step on a small ball in front of the first camera: kernels are compiled, caches are filled."""
    directions = torch.nn.functional.normalize(torch.randn(64, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    means = (cameras.centers[:1] + cameras.directions[:1] + 0.1 * directions.to(cameras.device)).float()
    ball = Gaussians(
        means=means,
        quats=torch.nn.functional.pad(torch.ones_like(means[:, :1]), (0, 3)),
        log_scales=torch.full_like(means, -3.5),
        logit_opacities=torch.full_like(means[:, 0], 2.0),
        sh_dc=torch.zeros_like(means),
        sh_rest=means.new_zeros(len(means), 15, 3),
    )
    styler = ObjectStyler(
        EditableObject(ball, Selection(torch.ones_like(means[:, 0]), "rehearsal")),
        cameras[:1],
        encoder,
        "red",
        StylerConfig(),
    )
    torch.stack(list(styler.losses()[0].values())).sum().backward()


class _Style:
    """The object's parameters while a style is made, and what changes them."""

    def __init__(self, scene: LiveScene, order: ApplyStyle) -> None:
        settings = order.settings
        config = replace(settings.styler, train=FORMS[order.form])
        growth = replace(settings.growth, enabled=order.form != "colors")
        self.edit = EditableObject(scene.gaussians, scene.selection, copy_scene=False)
        self.live = LiveEdit(scene, self.edit, object_before(scene.state, self.edit))
        cameras = scene.cameras.evenly(_VIEWS)
        self.picture, compared = scene.style_picture, None
        if self.picture is not None:
            features = load_feature_maps(settings.encoder, settings.feature_weights, scene.host.device)
            compared = PictureObjective(settings.picture, features, self.picture.tensor, scene.host.device)
        encoder, prompt = settings.encoder, order.prompt
        self.styler = ObjectStyler(self.edit, cameras, encoder, prompt, config, settings.seed, compared)
        optimizers = settings.make_optimizers(self.edit.parameters, order.speed, order.speed)
        self.optimizers = optimizers.values()
        densification = ObjectGrowth(growth, self.edit, optimizers, PRESETS[order.preset])
        self.steps = ObjectSteps(self.edit, optimizers, densification, self._grown)

    def step(self, number: int) -> None:
        """One step on the object's own parameters: whoever looks at the scene does not wait for it.

        Raises:
            ValueError: the loss is no longer finite.
        """
        try:
            with_enough_memory(
                lambda: self.steps.take(*self.styler.losses(), number), self.optimizers, self.styler.sampler.halve
            )
        except TrainingDiverged as error:
            raise ValueError(f"{error} Try a lower speed, or colors only.") from error

    def _grown(self) -> None:
        self.styler.re_anchor()
        self.edit.let_go_of_scene()
        self.live.replace_object()

    def picture_facts(self) -> dict[str, Any]:
        """What a step keeps of its picture, beside the picture itself."""
        if self.picture is None or self.styler.picture is None:
            return {}
        about = {"loss": self.styler.picture.config.loss, "features": self.styler.picture.features.name}
        return {SETTING: {"name": self.picture.name} | about}

    def metrics(self) -> dict[str, float]:
        """Mean similarity of the object's views to the sentence, before and after."""
        pair = {"before": self.edit.original, "after": self.edit.gaussians(()).detach()}
        return {f"similarity_{when}": float(self.styler.similarity(it, at_most=8).mean()) for when, it in pair.items()}

    def close(self) -> None:
        """No more steps: let go of what only steps need."""
        self.steps.close()
