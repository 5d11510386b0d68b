"""What one can do in a session besides styling: choose the object, move through the history, keep the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.export import What, export
from fasttext2style.selection import algebra
from fasttext2style.selection.automatic import select_automatic
from fasttext2style.selection.clicks import TOLERANCE
from fasttext2style.selection.colors import select_color
from fasttext2style.selection.picking import pick_ray
from fasttext2style.selection.rectangle import select_rectangle
from fasttext2style.selection.selection import Selection

Combine = Literal["add", "take away", "keep common", "new"]
"""How what is pointed at and the present object become the new object."""
_SHADES = 0.1
"""CIELAB / 100: what still is a shade of the same colour."""
_SMALL_STEP = 0.03
"""Grow and shrink, relative to the object's size."""


# --- choosing the object ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Click:
    """A point of the object, or of what is not the object; with the clicks before it, it says what the object is."""

    origin: tuple[float, float, float]
    direction: tuple[float, float, float]
    """The ray of the click, in world coordinates."""
    combine: Combine = "add"
    tolerance: float = TOLERANCE

    @property
    def title(self) -> str:
        return "Click"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        picked = pick_ray(scene.gaussians, torch.tensor(self.origin), torch.tensor(self.direction))
        click = (tuple(picked.position.tolist()), self.combine != "take away")
        begins = self.combine == "new" or (self.combine == "add" and scene.selection.count == 0)
        series = [] if begins else clicks_of(scene)
        if not begins and (not series or self.combine == "keep common"):
            return _combined(scene, _region(scene, [(click[0], True)], self.tolerance), self.combine)
        series.append(click)
        settings = {"clicks": [[*position, positive] for position, positive in series], "tolerance": self.tolerance}
        name = "1 click" if len(series) == 1 else f"{len(series)} clicks"
        return scene.select(_region(scene, series, self.tolerance), name, settings)


Position = tuple[float, ...]


def clicks_of(scene: LiveScene) -> list[tuple[Position, bool]]:
    """Position and whether it is the object, of the clicks that made the present object; empty if others made it."""
    steps = [step for step in scene.history.steps if step.kind == "selection" and step.active]
    clicks = steps[-1].settings.get("clicks", []) if steps else []
    return [(tuple(position), bool(positive)) for *position, positive in clicks]


def _region(scene: LiveScene, clicks: list[tuple[Position, bool]], tolerance: float) -> Selection:
    positive, negative = (
        torch.tensor([position for position, inside in clicks if inside is wanted]).reshape(-1, 3)
        for wanted in (True, False)
    )
    return scene.click_selector().select(positive, negative, tolerance)


@dataclass(frozen=True)
class SelectRectangle:
    """What is seen in front inside a rectangle of a view."""

    camera: Cameras
    corners: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the view."""
    combine: Combine = "add"
    title: str = "Select by rectangle"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        return _combined(scene, select_rectangle(scene.gaussians, self.camera, self.corners), self.combine)


@dataclass(frozen=True)
class SelectColor:
    """Everything of the colour under the mouse."""

    origin: tuple[float, float, float]
    direction: tuple[float, float, float]
    combine: Combine = "add"
    tolerance: float = TOLERANCE
    """As for clicks: the default takes shades of the colour."""
    title: str = "Select by color"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        picked = pick_ray(scene.gaussians, torch.tensor(self.origin), torch.tensor(self.direction))
        tolerance = _SHADES * self.tolerance / TOLERANCE
        return _combined(scene, select_color(scene.gaussians, picked.color, tolerance), self.combine)


@dataclass(frozen=True)
class SelectText:
    """What a sentence names, by a segmenter over views of the capture."""

    text: str
    segmenter: str
    combine: Combine = "add"

    @property
    def title(self) -> str:
        return f"Select: {self.text.strip() or '(nothing)'}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        from fasttext2style.selection.text import select_by_text

        if not self.text.strip():
            raise ValueError('There is no name yet. Type what to select, such as "the bear".')
        segmenter = scene.segmenter(self.segmenter)
        return _combined(
            scene, select_by_text(scene.gaussians, scene.cameras, segmenter, self.text.strip()), self.combine
        )


@dataclass(frozen=True)
class SelectAutomatic:
    """What most views look at."""

    combine: Combine = "add"
    title: str = "Find the object"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        return _combined(scene, select_automatic(scene.gaussians, scene.cameras), self.combine)


@dataclass(frozen=True)
class SelectEverything:
    """The whole scene."""

    title: str = "Select everything"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        return scene.select(Selection(torch.ones_like(scene.state.selection), "everything"), "everything")


@dataclass(frozen=True)
class SelectNothing:
    """Start over."""

    title: str = "Clear the selection"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        return scene.select(Selection(torch.zeros_like(scene.state.selection), "nothing"), "nothing")


@dataclass(frozen=True)
class Reshape:
    """Change the present object as a whole."""

    how: Literal["grow", "shrink", "invert", "largest part"]

    @property
    def title(self) -> str:
        return f"Selection: {self.how}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        present, gaussians = scene.selection, scene.gaussians
        if present.count == 0 and self.how != "invert":
            raise ValueError("Nothing is selected yet. Click on the object first.")
        distance = _SMALL_STEP * _size_of(gaussians.means[present.mask]) if self.how in ("grow", "shrink") else 0.0
        changes: dict[str, Callable[[], Selection]] = {
            "grow": lambda: algebra.grow(gaussians, present, distance),
            "shrink": lambda: algebra.shrink(gaussians, present, distance),
            "invert": lambda: algebra.invert(present),
            "largest part": lambda: algebra.largest_component(gaussians, present),
        }
        return scene.select(changes[self.how](), f"{present.origin}, {self.how}")


@dataclass(frozen=True)
class Threshold:
    """Keep what belongs to the object more than so much; a later threshold starts from the same weights."""

    value: float
    replaces_waiting: bool = True

    @property
    def title(self) -> str:
        return f"Threshold {self.value:g}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        last = scene.history.applied[-1:]
        if last and "threshold" in scene.history.step(last[0].id).settings:
            scene.move(scene.history.undo)
        present = scene.selection
        if present.count == 0:
            raise ValueError("Nothing is selected yet. Click on the object first.")
        name = f"{present.origin}, above {self.value:g}"
        return scene.select(algebra.thresholded(present, self.value), name, {"threshold": self.value})


def _combined(scene: LiveScene, found: Selection, combine: Combine) -> str:
    present = scene.selection
    if combine == "new" or (combine == "add" and present.count == 0):
        return scene.select(found, found.origin)
    if combine == "add":
        return scene.select(algebra.union(present, found), f"{present.origin} + {found.origin}")
    if present.count == 0:
        raise ValueError("Nothing is selected yet. Select the object first.")
    if combine == "take away":
        return scene.select(algebra.minus(present, found), f"{present.origin} - {found.origin}")
    return scene.select(algebra.intersect(present, found), f"{present.origin} and {found.origin}")


def _size_of(points: torch.Tensor) -> float:
    """Diagonal of the box around most of the points; at most 20,000 of them are looked at."""
    some = points[:: -(-len(points) // 20_000)].float()
    low, high = (some.quantile(share, dim=0) for share in (0.02, 0.98))
    return float((high - low).norm())


# --- history ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Undo:
    """Take the latest step back."""

    title: str = "Undo"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        history = scene.history
        name = history.step(history.applied[-1].id).name if history.can_undo else ""
        scene.move(history.undo)
        return f"Undone: {name}."


@dataclass(frozen=True)
class Redo:
    """Do the step again that was undone last."""

    title: str = "Redo"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        history = scene.history
        scene.move(history.redo)
        return f"Redone: {history.step(history.applied[-1].id).name}."


@dataclass(frozen=True)
class Blend:
    """How much of a finished step is in force; 0 takes it out, later steps stay."""

    step_id: int
    strength: float
    replaces_waiting: bool = True

    @property
    def title(self) -> str:
        return f"Strength of step {self.step_id}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        history = scene.history
        scene.move(lambda state: history.blend(self.step_id, self.strength, state))
        name = history.step(self.step_id).name
        return f"Taken out: {name}." if self.strength == 0 else f"{name}: strength {self.strength:.0%}."


# --- keeping ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Save:
    """Write a checkpoint that every nerfstudio command, and a later scene, can open."""

    title: str = "Save"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        return f"Saved: {scene.save()}"


@dataclass(frozen=True)
class Export:
    """Write the scene, the object, or all but the object, for other programs."""

    what: What = "scene"
    format: str = "ply"
    """One of `scene.files.export.WRITERS`."""
    title: str = "Export"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        path = scene.folder / "exports" / f"{self.what}.{self.format}"
        count = export(path, scene.gaussians, scene.state.selection, self.what)
        return f"Exported {count:,} Gaussians: {path}"
