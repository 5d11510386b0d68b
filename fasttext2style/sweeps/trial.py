"""One sentence on an object: what a worker needs for it, does, and answers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.evaluation.graders import second_judge
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.state import SceneState
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig, ObjectGrowth
from fasttext2style.styling.steps import MakeOptimizers, ObjectSteps, with_enough_memory
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from fasttext2style.workers.pieces import OnStep

MOST_VIEWS_COMPARED = 8
"""Of the object, for its similarity to the sentence: as the steps of other commands have it."""


@dataclass(frozen=True)
class Trial:
    """A sentence to try, with a seed; a `Request` of one part."""

    number: int
    """Among all of them, from 0."""
    prompt: str
    seed: int

    @property
    def part_ids(self) -> tuple[int, ...]:
        return (self.number,)

    def select(self, rows: Sequence[int]) -> Trial:
        return self


@dataclass(frozen=True)
class Tried:
    """What came of it."""

    columns: dict[str, Tensor]
    """The object under splatfacto's names, on the CPU; all of it if it has grown, else the groups that trained."""
    weights: Float[Tensor, " object"]
    """Selection weights of an object that has grown."""
    has_grown: bool
    metrics: dict[str, float]
    """Mean similarity to the sentence, similarity_before and _after; by another encoder judged_before and _after."""
    encoder: str
    judge: str
    """The other encoder; empty where there is none that knows the sentence."""
    seconds: float
    """Of the steps."""


@dataclass(frozen=True)
class HowToStyle:
    """What all sentences have in common; the same words mean the same style."""

    encoder: str
    encoder_weights: str
    styler: StylerConfig
    growth: GrowthConfig
    make_optimizers: MakeOptimizers = field(repr=False, compare=False)
    rates: str = ""
    """What `make_optimizers` makes, in words."""
    steps: int = 200

    def digest(self) -> str:
        said = {name: value for name, value in vars(self).items() if name != "make_optimizers"}
        said |= {"styler": asdict(self.styler), "growth": asdict(self.growth)}
        return hashlib.sha256(repr(sorted(said.items())).encode()).hexdigest()


@dataclass(frozen=True)
class Studio:
    """An object, its views, and how it is styled: what a worker loads once. Everything is on the CPU.

    Called with a device it makes the worker's tool.
    """

    scene: Gaussians
    """The object alone; all of the scene where the loss looks at its surroundings."""
    weights: Float[Tensor, " gaussians"]
    cameras: Cameras
    how: HowToStyle

    @staticmethod
    def of(state: SceneState, cameras: Cameras, how: HowToStyle) -> Studio:
        """Of the object that is selected in a scene."""
        scene, weights = state.gaussians().detach(), state.selection
        if not how.styler.composite:
            rows = (weights > 0).nonzero()[:, 0]
            scene, weights = scene.subset(rows), weights[rows]
        return Studio(scene.to("cpu"), weights.cpu(), cameras.to("cpu"), how)

    @cached_property
    def digest(self) -> str:
        """Of all that decides, beside sentence and seed, what comes out."""
        digest = hashlib.sha256(self.how.digest().encode())
        tensors = [getattr(self.scene, it.name) for it in fields(self.scene)]
        for tensor in (*tensors, self.weights, self.cameras.viewmats, self.cameras.Ks):
            digest.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
            digest.update(tensor.detach().contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

    def key(self, trial: Trial) -> str:
        """Two trials with the same key come to the same."""
        return hashlib.sha256(repr((self.digest, trial.prompt, trial.seed)).encode()).hexdigest()

    def __call__(self, device: str) -> Stylist:
        return Stylist(self, load_encoder(self.how.encoder, self.how.encoder_weights or None, device), device)


class Stylist:
    """A worker's `Tool`: tries sentences on copies of the object."""

    def __init__(self, studio: Studio, encoder: TextImageEncoder, device: str) -> None:
        self._how, self._encoder, self._device = studio.how, encoder, device
        self._scene, self._cameras = studio.scene.to(device), studio.cameras.to(device)
        self._selection = Selection(studio.weights.to(device), "the object")

    @property
    def about(self) -> str:
        return self._encoder.name

    def do(self, trial: Trial, on_step: OnStep | None = None) -> Tried:
        """Style the object from its beginning.

        Raises:
            ValueError: no view shows it, or the training diverged.
        """
        # Densification draws from torch's own generators; whoever else does shall not notice.
        with torch.random.fork_rng([torch.cuda.current_device()] if self._device.startswith("cuda") else []):
            torch.manual_seed(trial.seed)
            return self._tried(trial, on_step)

    def close(self) -> None: ...

    def _tried(self, trial: Trial, on_step: OnStep | None) -> Tried:
        how, started = self._how, time.perf_counter()
        edit = EditableObject(self._scene, self._selection, copy_scene=False)
        styler = ObjectStyler(edit, self._cameras, self._encoder, trial.prompt, how.styler, trial.seed)
        optimizers = how.make_optimizers(edit.parameters, 1.0, 1.0)
        growth = ObjectGrowth(how.growth, edit, optimizers, how.steps)
        steps = ObjectSteps(edit, optimizers, growth, styler.re_anchor)
        for number in range(how.steps):
            with_enough_memory(
                lambda number=number: steps.take(*styler.losses(), number), optimizers.values(), styler.sampler.halve
            )
            if on_step is not None:
                on_step(number + 1, how.steps)
        steps.close()
        seconds = time.perf_counter() - started
        now = edit.gaussians(()).detach()
        metrics, judge = _compared(styler, edit.original, now, trial.prompt, self._device)
        names = now.to_splatfacto() if edit.has_grown else how.styler.train
        columns = {name: column.cpu() for name, column in now.to_splatfacto().items() if name in names}
        name = self._encoder.name
        return Tried(columns, edit.weights.cpu(), edit.has_grown, metrics, name, judge, round(seconds, 2))


def _compared(
    styler: ObjectStyler, before: Gaussians, after: Gaussians, prompt: str, device: str
) -> tuple[dict[str, float], str]:
    """Similarity to the sentence, by the encoder that was asked and by one that was not."""
    pair = {"before": before, "after": after}
    metrics = {
        f"similarity_{when}": float(styler.similarity(it, at_most=MOST_VIEWS_COMPARED).mean())
        for when, it in pair.items()
    }
    judge = second_judge(styler.encoder, prompt, device)
    if judge is None:
        return metrics, ""
    judged = {f"judged_{when}": styler.judged(it, judge, prompt, MOST_VIEWS_COMPARED) for when, it in pair.items()}
    return metrics | judged, judge.name
