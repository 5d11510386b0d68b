"""A sentence on the present object, step by step in a session: each step is seen, and the whole can be taken back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import torch

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.live.action import Action, Order
from fasttext2style.live.edit import LiveEdit
from fasttext2style.live.objects import belonging
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.step import object_before, thumbnail
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
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
GALLERY = (
    *("made of gold", "carved from ice", "made of white marble", "weathered bronze", "glowing lava", "mossy stone"),
    *("a starry night", "leopard fur", "striped zebra", "blue denim", "rusted iron", "red bricks", "green emerald"),
)
"""Sentences that every encoder knows, the packaged one, too."""
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


def style_action(settings: StyleSettings) -> Action:
    """CLIP styling, as the panel offers it."""

    def job(order: Order) -> ApplyStyle:
        return ApplyStyle(settings, order.prompt.strip(), order.speed, order.quality, order.form)

    return Action(
        {"Apply": job},
        example="a bear made of gold",
        qualities={name: f"{steps} steps" for name, steps in PRESETS.items()},
        gallery=GALLERY,
        speed_hint="How fast it changes. How much of a finished edit is in force: see Objects.",
        forms=tuple(FORMS),
        forms_hint="Form is rougher: surfaces may become flaky.",
        load_encoder=lambda: settings.encoder,
    )


@dataclass(frozen=True)
class ApplyStyle:
    """Style the present object by a sentence, as one step of the history."""

    settings: StyleSettings
    prompt: str
    speed: float = 1.0
    """Scales the learning rates: 0.5 changes colours half as fast."""
    preset: str = "normal"
    form: str = "colors"
    once: bool = True

    @property
    def title(self) -> str:
        return f"Style: {self.prompt.strip() or '(no sentence)'}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        if not self.prompt.strip():
            raise ValueError(
                'There is no sentence yet. Type what the object should become, such as "a bear made of gold".'
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
            scene.history.record(
                style.live.delta(),
                self.prompt.strip(),
                prompt=self.prompt.strip(),
                settings=facts | {"object": scene.selection.origin, "encoder": self.settings.encoder.name} | owner,
                seed=self.settings.seed,
                seconds=round(time.perf_counter() - started, 2),
                metrics=metrics,
                thumbnail=thumbnail(scene.gaussians, style.styler.views[0]),
            )
        except ValueError as error:
            style.live.take_back()
            raise ValueError(f"{error} The scene is unchanged.") from error
        except BaseException:
            style.live.take_back()
            raise
        finally:
            style.close()
        scene.tell("history")
        ended = "Done" if done == steps else f"Stopped after {done} of {steps} steps (Undo takes it back)"
        nearer = metrics["similarity_after"] > metrics["similarity_before"]
        return f"{ended}: {self.prompt.strip()}." + ("" if nearer else " It does not look more like that than before.")


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
        self.styler = ObjectStyler(self.edit, cameras, settings.encoder, order.prompt, config, settings.seed)
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

    def metrics(self) -> dict[str, float]:
        """Mean similarity of the object's views to the sentence, before and after."""
        pair = {"before": self.edit.original, "after": self.edit.gaussians(()).detach()}
        return {f"similarity_{when}": float(self.styler.similarity(it, at_most=8).mean()) for when, it in pair.items()}

    def close(self) -> None:
        """No more steps: let go of what only steps need."""
        self.steps.close()
