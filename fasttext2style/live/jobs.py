"""What one can do in a session besides styling: choose the object, move through the history, keep the result."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import torch

from fasttext2style.history.steps import Move
from fasttext2style.live.desk import LONGEST_NAME
from fasttext2style.live.looks import look_of
from fasttext2style.live.objects import selected_object
from fasttext2style.live.pointing import Combine, again_instead, combined
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.texts import example_name
from fasttext2style.scene.files.export import What, export
from fasttext2style.selection import algebra
from fasttext2style.selection.selection import Selection
from fasttext2style.trust.documents import is_count, is_number
from fasttext2style.trust.text import one_line

_RESHAPED = {
    "grow": "growing",
    "shrink": "shrinking",
    "invert": "inverting",
    "largest part": "keeping the largest part",
}
_WHOLE: dict[What, str] = {"scene": "the scene", "selection": "the selected object", "rest": "all but the object"}
_SMALL_STEP = 0.03
"""Grow and shrink, relative to the object's size."""
HIGHEST_THRESHOLD, WIDEST_FEATHER = 0.95, 0.3
_CANDIDATE, _THRESHOLD, _FEATHER = "candidate", "threshold", "feather"
"""Settings of the selections that they make."""


# --- choosing the object ---------------------------------------------------------------------------------------------


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

        name = self.text.strip()
        if not name:
            raise ValueError(f"There is no name yet. Type what to select, such as {example_name(self.segmenter)}.")
        found = select_by_text(scene.gaussians, scene.cameras, scene.segmenter(self.segmenter), name)
        return combined(scene, replace(found, origin=f'"{name}"'), self.combine)


@dataclass(frozen=True)
class SelectAutomatic:
    """What most views look at, or another thing that stands out. Of some in turn only the last one counts."""

    combine: Combine = "add"
    another: bool = False
    """The next one after the one that was found last, from the likeliest on; after the last one the first again."""
    title: str = "Find the object"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        count, number = 1, 0
        if self.another:
            last: Any = scene.made_last().get(_CANDIDATE, 0)  # of a file that anybody may have written
            count = len(scene.candidates())
            number = last % count if is_count(last) else 0
        found = scene.candidates(count)[number]
        look = look_of(scene.gaussians, found.weights.to(scene.state.selection))
        found = replace(found, origin=f"the {look} thing{'' if self.another else ' in the middle'}")
        settings = {_CANDIDATE: number + 1}
        said = again_instead(scene, lambda: combined(scene, found, self.combine, settings), _CANDIDATE)
        return f"{said} It is number {number + 1} of {count} that stand out." if self.another else said


@dataclass(frozen=True)
class SelectEverything:
    """The whole scene."""

    title: str = "Select everything"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        everything = Selection(torch.ones_like(scene.state.selection), "everything")
        return scene.select(everything, "selecting everything")


@dataclass(frozen=True)
class SelectNothing:
    """Start over."""

    title: str = "Clear the selection"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        nothing = Selection(torch.zeros_like(scene.state.selection), "nothing")
        return scene.select(nothing, "clearing the selection")


@dataclass(frozen=True)
class Reshape:
    """Change the present object as a whole."""

    how: Literal["grow", "shrink", "invert", "largest part"]

    @property
    def title(self) -> str:
        return f"Selection: {self.how}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        present, gaussians = scene.selection if self.how == "invert" else _something(scene), scene.gaussians
        distance = _SMALL_STEP * _size_of(gaussians.means[present.mask]) if self.how in ("grow", "shrink") else 0.0
        changes: dict[str, Callable[[], Selection]] = {
            "grow": lambda: algebra.grow(gaussians, present, distance),
            "shrink": lambda: algebra.shrink(gaussians, present, distance),
            "invert": lambda: algebra.invert(present),
            "largest part": lambda: algebra.largest_component(gaussians, present),
        }
        what = present.origin
        if self.how == "invert":
            what = f"all but {what}".removeprefix("all but all but ") if present.count else "everything"
        return scene.select(replace(changes[self.how](), origin=what), _RESHAPED[self.how])


@dataclass(frozen=True)
class Threshold:
    """Keep what belongs to the object more than so much; a later threshold starts from the same weights."""

    value: float
    replaces_waiting: bool = True

    @property
    def title(self) -> str:
        return f"Threshold {self.value:g}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        def select() -> str:
            present = _something(scene)
            kept = replace(algebra.thresholded(present, self.value), origin=present.origin)
            return scene.select(kept, f"threshold {self.value:g}", {_THRESHOLD: self.value})

        return again_instead(scene, select, _THRESHOLD)


@dataclass(frozen=True)
class Feather:
    """Let the object's weights fall off towards its border; a later width starts from the same weights."""

    width: float
    """Relative to the object's size."""
    replaces_waiting: bool = True

    @property
    def title(self) -> str:
        return f"Feather {self.width:.0%}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        def select() -> str:
            present, gaussians = _something(scene), scene.gaussians
            soft = algebra.feather(gaussians, present, self.width * _size_of(gaussians.means[present.mask]))
            return scene.select(
                replace(soft, origin=present.origin), f"a soft edge of {self.width:.0%}", {_FEATHER: self.width}
            )

        return again_instead(scene, select, _FEATHER)


def edge_of(scene: LiveScene) -> tuple[float, float]:
    """Threshold and width of the feather, if they made the present object; else 0."""
    settings = scene.made_last("selection")  # of a file that anybody may have written

    def said(name: str, most: float) -> float:
        value: Any = settings.get(name)
        return float(value) if is_number(value) and 0 <= value <= most else 0.0

    return said(_THRESHOLD, HIGHEST_THRESHOLD), said(_FEATHER, WIDEST_FEATHER)


def _something(scene: LiveScene) -> Selection:
    """The present object.

    Raises:
        ValueError: nothing is selected.
    """
    if scene.selection.count == 0:
        raise ValueError("Nothing is selected yet. Click on the object first.")
    return scene.selection


def _size_of(points: torch.Tensor) -> float:
    """Diagonal of the box around most of the points; at most 20,000 of them are looked at."""
    some = points[:: -(-len(points) // 20_000)].float()
    low, high = (some.quantile(share, dim=0) for share in (0.02, 0.98))
    return float((high - low).norm())


# --- history ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Undo:
    """Take back what was done last, whatever it was."""

    title: str = "Undo"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        move = scene.history.last_move
        scene.move(scene.history.undo)
        return f"Undone: {_described(scene, move and Move(move.step, move.new, move.old))}."


@dataclass(frozen=True)
class Redo:
    """Do again what was undone last."""

    title: str = "Redo"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        move = scene.history.next_move
        scene.move(scene.history.redo)
        return f"Redone: {_described(scene, move)}."


def _described(scene: LiveScene, move: Move | None) -> str:
    """The name of a step that came or went, or how strong it is now."""
    assert move is not None, "the history would have refused"
    name = _said(scene, move)
    return name if 0 in (move.old, move.new) else f"{name} is at {move.new:.0%} again"


def _said(scene: LiveScene, move: Move) -> str:
    """A step by its sentence, if it has one: of "make it blue" the name is "colors"."""
    step = scene.history.step(move.step)
    return one_line(step.prompt or step.name)


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
        history, this = scene.history, f"strength of {self.step_id}"
        goes_on = scene.goes_on(this)
        scene.move(lambda state: history.blend(self.step_id, self.strength, state, goes_on))
        scene.did(this)
        name = history.step(self.step_id).name
        return f"Switched off: {name}." if self.strength == 0 else f"{name}: strength {self.strength:.0%}."


def next_moves(scene: LiveScene) -> tuple[str, str]:
    """What Undo would take back, and Redo would do again; empty for nothing."""
    told = []
    for move in (scene.history.last_move, scene.history.next_move):
        name = "" if move is None else _said(scene, move)
        told.append(name if move is None or 0 in (move.old, move.new) else f"the strength of {name}")
    return told[0], told[1]


# --- keeping ---------------------------------------------------------------------------------------------------------

HandOver = Callable[[Path], str]
"""Gives a file that was written to whoever asked for it, and says in words where it is."""


def kept_here(path: Path) -> str:
    """It stays where it was written."""
    return str(path)


@dataclass(frozen=True)
class Save:
    """Write a checkpoint that every nerfstudio command, and a later scene, can open."""

    title: str = "Save"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        scene.save()
        return "Saved, with all that can be undone. How to open it again: under Save, Details."


@dataclass(frozen=True)
class Export:
    """Write the scene, the object, or all but the object, for other programs."""

    what: What = "scene"
    format: str = "ply"
    """One of `scene.files.export.WRITERS`."""
    name: str = ""
    """Of the file, without ending; empty: what is exported."""
    hand_over: HandOver = field(default=kept_here, compare=False)
    title: str = "Export"
    once: bool = True

    def run(self, scene: LiveScene, progress: Progress) -> str:
        path = free_path(scene.folder / "exports", file_name(self.name) or exported_name(scene, self.what), self.format)
        written = export(path, scene.gaussians, scene.state.selection, self.what)
        return f"Exported {_WHOLE[self.what]} ({written:,} splats): {self.hand_over(path)}"


def exported_name(scene: LiveScene, what: What) -> str:
    """Of a file that somebody did not name: that of the object, if it has one."""
    thing = selected_object(scene) if what == "selection" else None
    return what if thing is None else " ".join(re.sub(r"[^\w -]", " ", thing.name).split())[:LONGEST_NAME] or what


def file_name(name: str) -> str:
    """What was typed, as the name of a file in a folder of ours; empty for nothing.

    Raises:
        ValueError: a name that would lead to another folder, or that no disk takes.
    """
    name = name.strip()
    if any(letter in name for letter in '/\\:*?"<>|\0\n') or name.startswith(".") or len(name.encode()) > 200:
        raise ValueError(f'{name!r} cannot be the name of a file: leave out / \\ : * ? " < > | and a dot at the front')
    return name


def free_path(folder: Path, name: str, ending: str) -> Path:
    """The path of a new file."""
    paths = (folder / f"{name}{f' {number}' if number > 1 else ''}.{ending}" for number in count(1))
    return next(path for path in paths if not path.exists())
