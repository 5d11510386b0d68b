"""An object made of Gaussians as rounds see it, and the scene that it belongs to at the end of any round.

What lies outside the object never changes: it is rendered along, kept once, in round 0, and put together with the
object again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from fasttext2style.evaluation.locality import not_measured, numbers_of, outside_drift
from fasttext2style.rounds.folder import Round
from fasttext2style.rounds.losses import LossConfig, gaussian_losses
from fasttext2style.rounds.modes import Mode
from fasttext2style.rounds.removal import hole_masks, keep_seeds
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.rounds.views import SEEN, SceneViews, to_bytes
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.scene.gaussians import SPLATFACTO_NAMES, Gaussians
from fasttext2style.scene.rasterize import render, render_values, views_at_once
from fasttext2style.scene.splats import RasterizeMode
from fasttext2style.scene.still import StillGaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler


@dataclass(frozen=True)
class Capture:
    """The views of a capture, and how its scene is rendered for them."""

    cameras: Cameras
    """All of one size."""
    photographs: UInt8[Tensor, "views height width 3"]
    """As 8 bits on the CPU."""
    background: Float[Tensor, "3"]
    """Colour behind the scene."""
    rasterize_mode: RasterizeMode = "classic"
    """As the scene was trained."""


class GaussianSubject:
    """An object of a scene; in the info of `render_boxes` its Gaussians come first, then all others.

    Args:
        edit: the object, as it was before any round.
        capture: its views.
        mode: what may change, and how much.
        config: weights of the losses.
        text: a sentence that the object is drawn towards beside the pictures, weighted by `config.text_weight`.

    Raises:
        ValueError: the object is to be removed, and nothing else is there.
    """

    def __init__(
        self,
        edit: EditableObject,
        capture: Capture,
        mode: Mode,
        config: LossConfig,
        text: ObjectStyler | None = None,
    ) -> None:
        self.edit, self.cameras, self.mode = edit, capture.cameras, mode
        self._capture, self._config, self._text = capture, config, text
        self._outside, self._original_weights = StillGaussians(edit.outside()), edit.merged_weights()
        self._everything = len(self._outside) == 0
        if mode.removes and self._everything:
            raise ValueError("The whole scene is selected: once it is removed nothing is left. Select less of it.")
        self._holes = hole_masks(edit.scene, self._original_weights, self.cameras) if mode.removes else None
        self._anchor = edit.gaussians(()).copy()

    def views(self) -> SceneViews:
        """What rounds need to know of the capture's views; asked for before anything has changed.

        Raises:
            ValueError: no view shows the object, or what is missing without it.
        """
        coverage = None if self._everything else self._all_coverage()
        if coverage is not None and not bool((coverage > SEEN * 255).any()):
            raise ValueError(self._nothing_shown())
        scene, every_view = self._outside.gaussians if self.mode.removes else self.edit.scene, range(len(self.cameras))
        originals = torch.empty(len(every_view), self.cameras.height, self.cameras.width, 3, dtype=torch.uint8)
        for views, pictures in self._rendered(scene, every_view):
            originals[views] = to_bytes(pictures)
        return SceneViews(self.cameras, self._capture.photographs, originals, coverage, self.mode.mask_margin)

    def remove(self, masks: UInt8[Tensor, "views height width 1"]) -> None:
        """Take the object away, but for what can fill the hole that it leaves, which `masks` show in each view.

        Raises:
            ValueError: nothing of it can.
        """
        keep_seeds(self.edit, self.cameras, masks)
        self.re_anchor()

    # --- seen -------------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        return self.edit.parameters

    def render(self, views: list[int], with_depth: bool = False) -> Float[Tensor, "views height width channels"]:
        return torch.cat([part.cpu() for _, part in self._rendered(self.edit.merged(), views, with_depth)])

    def render_boxes(
        self, views: Int[Tensor, " views"], boxes: Int[Tensor, "views 4"]
    ) -> tuple[Float[Tensor, "views height width 3"], dict[str, Any]]:
        width, height = (boxes[0, 2:] - boxes[0, :2]).tolist()
        cameras = self.cameras[views.to(self.cameras.device, non_blocking=True)].cropped(boxes.float(), width, height)
        images, _, info = self._outside.render_behind(
            self.edit.gaussians(self.mode.train),
            cameras,
            background=self._capture.background,
            rasterize_mode=self._capture.rasterize_mode,
        )
        return images, info

    @torch.no_grad()
    def coverage(self, views: list[int]) -> Float[Tensor, "views height width 1"] | None:
        """How much of each pixel's colour comes from the object, what hides it taken into account.

        Of an object that is removed: how much shows what no view ever saw; that stays as it was at first.
        """
        if self._holes is not None:
            return self._holes[views].float() / 255
        if self._everything:
            return None
        return torch.cat([part.cpu() for part in self._shown_of(views)])

    def _all_coverage(self) -> UInt8[Tensor, "views height width 1"]:
        """`coverage` of all views; as numbers it would take gigabytes."""
        every_view = range(len(self.cameras))
        if self._holes is not None:
            return self._holes
        return torch.cat([to_bytes(part) for part in self._shown_of(every_view)])

    @torch.no_grad()
    def _shown_of(self, views: Sequence[int]) -> Iterator[Float[Tensor, "some height width 1"]]:
        scene, is_object = self.edit.merged(), (self.edit.merged_weights() > 0).float()[:, None]
        cameras, chunk = self.cameras[list(views)], views_at_once(scene, 8)
        for start in range(0, len(views), chunk):
            some = cameras[start : start + chunk]
            yield render_values(scene, some, is_object, rasterize_mode=self._capture.rasterize_mode)[0].clamp(0, 1)

    @torch.no_grad()
    def _rendered(
        self, scene: Gaussians, views: Sequence[int], with_depth: bool = False
    ) -> Iterator[tuple[list[int], Float[Tensor, "some height width channels"]]]:
        """Some views at a time: their numbers, and their pictures on the scene's device."""
        chunk = views_at_once(scene, 4)
        for start in range(0, len(views), chunk):
            some = list(views[start : start + chunk])
            pictures, _, _ = render(
                scene,
                self.cameras[some],
                background=self._capture.background,
                render_mode="RGB+ED" if with_depth else "RGB",
                rasterize_mode=self._capture.rasterize_mode,
            )
            pictures[..., :3].clamp_(0, 1)
            yield some, pictures

    def _nothing_shown(self) -> str:
        views, count = len(self.cameras), len(self.edit)
        if self.mode.removes:
            return (
                f"Taking the object ({count:,} Gaussians) away leaves no hole in any of the {views} views: all that is "
                "behind it was seen from elsewhere. Nothing needs painting: ft2s export RUN --what rest."
            )
        return (
            f"None of the {views} views shows the selected object ({count:,} Gaussians). Is something in front of it "
            "everywhere, or were scene and cameras made in other coordinates?"
        )

    # --- trained ----------------------------------------------------------------------------------------------------

    def losses(self) -> dict[str, Tensor]:
        """Penalties on Gaussians that leave what they were, and the text's losses; those draw views and patches."""
        now, config = self.edit.gaussians(self.mode.train), self._config
        losses = gaussian_losses(
            now, self._anchor, self.mode.train, config.consistency_weight, self.mode.geometry_anchor
        )
        if self._text is None:
            return losses
        return losses | {f"text_{name}": config.text_weight * loss for name, loss in self._text.losses()[0].items()}

    def draw_from(self, seed: int) -> None:
        if self._text is not None:
            self._text.draw_from(seed)

    def re_anchor(self) -> None:
        """After densification, too: new Gaussians have no older value."""
        self._anchor = self.edit.gaussians(()).copy()
        if self._text is not None and self.edit.has_grown:
            self._text.re_anchor()

    # --- kept -------------------------------------------------------------------------------------------------------

    def fingerprint(self) -> str:
        """sha256 of all bits of the scene that was loaded."""
        digest = hashlib.sha256()
        for value in self.edit.scene.to_splatfacto().values():
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def original_state(self) -> dict[str, Tensor]:
        """The whole scene, and which of it is the object."""
        scene = {name: value.detach() for name, value in self.edit.scene.to_splatfacto().items()}
        return scene | {"weights": self._original_weights}

    def state(self) -> dict[str, Tensor]:
        tensors = {f"parameters.{name}": value.detach() for name, value in self.edit.parameters.items()}
        return tensors | {"weights": self.edit.weights, "grown": torch.tensor(self.edit.has_grown)}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        load_object(tensors, self.edit)

    def metrics(self) -> dict[str, Any]:
        return {"gaussians": len(self._outside) + len(self.edit), "object": len(self.edit)}

    def kept_metrics(self, original: Path) -> dict[str, Any]:
        """Whether what is outside the object is on disk, bit for bit, what was loaded."""
        rows = (self._original_weights <= 0).nonzero()[:, 0].cpu()
        try:
            drift = outside_drift(self._outside.gaussians, SceneOnDisk(original), torch.arange(len(rows)), rows)
            return numbers_of({original.name: drift})
        except ValueError as error:
            return not_measured(str(error))

    def write_files(self, folder: Path) -> None:
        """weights.npy: a weight per Gaussian of the scene as it is now, as --object-file reads it."""
        with atomic_write(folder / "weights.npy") as stream:
            np.save(stream, self.edit.merged_weights().detach().float().cpu().numpy())


def load_object(tensors: Mapping[str, Tensor], edit: EditableObject) -> None:
    """Set an object's parameters and weights to those of `GaussianSubject.state`.

    Raises:
        ValueError: not such a state, or an object that does not fit the scene.
    """
    missing = [name for name in SPLATFACTO_NAMES if f"parameters.{name}" not in tensors]
    missing += [name for name in ("weights", "grown") if name not in tensors]
    if missing:
        raise ValueError(f"This is not a snapshot of a round: {', '.join(missing)} missing.")
    weights, grown = tensors["weights"], tensors["grown"]
    if weights.ndim != 1 or not weights.dtype.is_floating_point or grown.numel() != 1:
        raise ValueError(f"This is not a snapshot of a round: its weights are {weights.dtype} {list(weights.shape)}.")
    # An object that did not grow has the rows that it had.
    rows = len(weights) if bool(grown) else len(edit.parameters["means"])
    for name, parameter in list(edit.parameters.items()):
        value = tensors[f"parameters.{name}"]
        if value.shape[1:] != parameter.shape[1:] or len(value) != rows or value.dtype != parameter.dtype:
            raise ValueError(
                f"The snapshot is of another scene: {name} is {value.dtype} {list(value.shape)}, here "
                f"{parameter.dtype} {list(parameter.shape)}."
            )
        edit.parameters[name] = nn.Parameter(value.to(parameter.device))
    if bool(tensors["grown"]):
        edit.mark_grown(tensors["weights"].to(edit.weights.device))


def load_scene(path: Path) -> tuple[Gaussians, Float[Tensor, " gaussians"]]:
    """Scene and object before any edit, from the file of round 0.

    Raises:
        ValueError: not such a file.
    """
    tensors = load_tensors(path)
    if "weights" not in tensors:
        raise ValueError(
            f"{path} is not the scene of a run of rounds of Gaussians (a NeRF has none): it has {sorted(tensors)[:4]}."
        )
    try:
        scene, weights = Gaussians.from_splatfacto(tensors), tensors["weights"]
        if not weights.dtype.is_floating_point or weights.ndim != 1:
            raise ValueError(f"its weights are {weights.dtype} {list(weights.shape)}")
        Selection(weights, "the object of the rounds").check_matches(len(scene))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}).") from error
    return scene, weights


def scene_of_round(rounds: Sequence[Round], number: int) -> tuple[Gaussians, Float[Tensor, " gaussians"]]:
    """The whole scene and the object's weights at the end of a complete round; round 0 is before any edit.

    Raises:
        ValueError: there is no such round, or a file of it is damaged.
    """
    if not 0 <= number < len(rounds):
        raise ValueError(f"There is no complete round {number}; there are 0 to {len(rounds) - 1}.")
    scene, weights = load_scene(rounds[0].snapshot)
    if number == 0:
        return scene, weights
    edit = EditableObject(scene, Selection(weights, "the object of the rounds"), copy_scene=False)
    try:
        load_object(load_tensors(rounds[number].snapshot), edit)
    except ValueError as error:
        raise ValueError(f"{rounds[number].snapshot} cannot be used: {error}") from error
    return edit.merged(), edit.merged_weights()
