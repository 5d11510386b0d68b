"""Choosing the object with the mouse: clicks and drawings over the view, and how they are combined with what is there.

Each of them adds what it points at to the object, or takes it away, whatever came before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from fasttext2style.live.looks import look_of, name_of_colors
from fasttext2style.live.objects import ALL_OF_IT, objects_of, selected_object, weights_of
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection import algebra
from fasttext2style.selection.clicks import TOLERANCE
from fasttext2style.selection.colors import select_color
from fasttext2style.selection.drawn import Drawing, Point, drawn_mask, select_seen
from fasttext2style.selection.far import is_far
from fasttext2style.selection.picking import Picked, pick_ray
from fasttext2style.selection.pointed import SIZE, Pointer, meaning_at, meanings, select_pointed, shared
from fasttext2style.selection.selection import Selection
from fasttext2style.trust.documents import NUMBER, Check, check_fields, is_mapping, is_number

Combine = Literal["add", "take away", "keep common", "new"]
"""How what is pointed at and the present object become the new object."""
Triple = tuple[float, float, float]
_CLICK = "click"
"""Setting of the selections that a click makes: the click."""
_MOST_CLICKS = 1000
"""That are marked in the view."""
_MUCH = 0.5
"""Share of the scene: whoever clicked on a thing may not have meant so much."""
_WITHOUT = " without a part"
_LONGEST_WHAT = 60
_SHADES = 0.1
"""CIELAB / 100: what still is a shade of the same colour."""


@dataclass(frozen=True)
class Click:
    """What is under the mouse: a thing, or a part of one (`selection.pointed` says when), or all of its colour."""

    origin: Triple
    direction: Triple
    """The ray of the click, in world coordinates."""
    combine: Combine = "add"
    tolerance: float = TOLERANCE
    size: float = SIZE
    """Diameter of a part, as a share of the height of what is seen."""
    opening: float = 1.5
    """How high what is seen is, relative to its distance: twice the tangent of half the vertical field of view."""
    by_color: bool = False
    larger: int | None = None
    """Which of `selection.pointed.meanings`: 0 what it means at first, 1 the next larger one, -1 the next smaller one.
    None: the object that was edited there, if it is one of them, else what it means at first."""

    @property
    def title(self) -> str:
        return "Select by color" if self.by_color else "Click"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        origin = torch.tensor(self.origin)
        picked = pick_ray(scene.gaussians, origin, torch.tensor(self.direction))
        position = tuple(picked.position.tolist())
        # Of a sky one would get some scrap. What belongs to it can still be taken away.
        if not self.by_color and self.combine != "take away" and bool(is_far(picked.position[None], scene.cameras)):
            raise ValueError(
                "Nothing there but what is far away, such as a sky. Click on a thing. Color, rectangle and brush "
                "(under Mouse) select what is far, too"
            )
        advice, click = "", self
        if self.by_color:
            found = select_color(scene.gaussians, picked.color, _SHADES * self.tolerance / TOLERANCE)
            color = name_of_colors(picked.color[None], torch.ones(1))
            found = replace(found, origin=f"everything {color} like that")
        elif self.larger is not None:
            found = self._other_meaning(scene, picked.position, self.larger)
        elif (edited := self._edited(scene, picked)) is not None:
            found, larger = edited
            click = replace(self, larger=larger)
        else:
            height = self.opening * float((picked.position.cpu() - origin).norm())
            found, advice = self._pointed(scene, Pointer(picked.position, height, self.size, self.tolerance))
        begins = self.combine == "new" or scene.selection.count == 0
        clicks = [*([] if begins else clicks_of(scene)), (position, self.combine != "take away")]
        settings = {"clicks": [[*position, added] for position, added in clicks], _CLICK: asdict(click)}
        return combined(scene, found, self.combine, settings) + advice

    def _pointed(self, scene: LiveScene, pointer: Pointer) -> tuple[Selection, str]:
        """What is pointed at, and what to do if that is not what was meant."""
        present, selector = scene.selection, scene.click_selector()
        if self.combine in ("new", "keep common"):  # what was selected says nothing about it
            present = replace(present, weights=torch.zeros_like(present.weights))
        found = select_pointed(scene.gaussians, selector, present, pointer, self.combine == "take away")
        what, mask = meaning_at(selector, pointer.position, found)
        advice = ""
        if what not in ("{}", "a part of {}"):
            advice = " Only one of the two? Press Too much."
        elif found.count > _MUCH * len(found):
            advice = " That is most of the scene. Press Too much for less."
        return replace(found, origin=what.format(_thing(scene, mask))), advice

    def _edited(self, scene: LiveScene, picked: Picked) -> tuple[Selection, int] | None:
        """The object that was edited there, and which meaning of the click it is: a statue that was styled without its
        base is meant without it. None if a click there means something else."""
        begins = self.combine == "new" or scene.selection.count == 0
        there = [(it, weights_of(scene, it)) for it in objects_of(scene)] if begins else []
        there = [(thing, weights) for thing, weights in there if weights[picked.row] > 0]
        if not there or self.tolerance != TOLERANCE:
            return None
        found, at_first = meanings(scene.click_selector(), picked.position, self.tolerance)
        for thing, weights in there:
            shares = [shared(weights.cpu() > 0, meaning.mask.cpu()) for meaning in found]
            number = shares.index(max(shares))
            if number != at_first and shares[number] > ALL_OF_IT:
                return Selection(weights, thing.name).for_scene(scene.gaussians), number - at_first
        return None

    def _other_meaning(self, scene: LiveScene, position: Tensor, larger: int) -> Selection:
        found, at_first = meanings(scene.click_selector(), position, self.tolerance)
        number = at_first + larger
        if not 0 <= number < len(found):
            if larger < 0:
                raise ValueError("Nothing smaller stands out here. For a part use the brush (under Mouse)")
            raise ValueError("Nothing larger stands out here. Shift and a click add another thing")
        what, mask = found[number]
        thing = found[at_first].mask
        return Selection(mask.to(scene.state.selection), what.format(_thing(scene, thing))).for_scene(scene.gaussians)


def _thing(scene: LiveScene, mask: Tensor) -> str:
    """What it is called: as the object that it is, if it was edited, else by its colours."""
    for thing in objects_of(scene):
        if shared(weights_of(scene, thing).cpu() > 0, mask.cpu()) > ALL_OF_IT:
            return thing.name
    return f"the {look_of(scene.gaussians, mask.to(scene.state.selection))} thing"


_TRIPLE = ("three numbers", lambda value: _is_triple(value))
_CLICK_FIELDS: dict[str, tuple[str, Check]] = {
    "origin": _TRIPLE,
    "direction": _TRIPLE,
    "combine": (f"one of {get_args(Combine)}", lambda value: value in get_args(Combine)),
    "tolerance": NUMBER,
    "size": NUMBER,
    "opening": NUMBER,
    "by_color": ("true or false", lambda value: isinstance(value, bool)),
    "larger": (
        "a whole number or null",
        lambda value: value is None or (isinstance(value, int) and abs(value) < 100),
    ),
}
"""Of `Click`, in its order."""


def clicks_of(scene: LiveScene) -> list[tuple[tuple[float, ...], bool]]:
    """Position and whether it was added, of the clicks that made the present object; empty if others made it."""
    clicks = scene.made_last("selection").get("clicks")  # of a file that anybody may have written
    if not (isinstance(clicks, list) and all(isinstance(it, list) and _is_triple(it[:-1]) for it in clicks)):
        return []
    return [(tuple(position), bool(added)) for *position, added in clicks[-_MOST_CLICKS:]]


def _is_triple(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(is_number(it) and abs(it) < 1e9 for it in value)


def _click_in(settings: Mapping[str, Any]) -> Click | None:
    """The click that made a selection; None if it was none, or the file does not say one as we would."""
    said: Any = settings.get(_CLICK)
    try:
        said = {"larger": None, **(said if is_mapping(said) else {})}  # earlier ones do not say it
        check_fields(said, _CLICK_FIELDS)
    except ValueError:
        return None
    (ox, oy, oz), (dx, dy, dz) = said["origin"], said["direction"]
    return Click((ox, oy, oz), (dx, dy, dz), *(said[name] for name in [*_CLICK_FIELDS][2:]))


@dataclass(frozen=True)
class ClickAgain:
    """The last click, if nothing was done since, with another tolerance or size: a slider on its way."""

    tolerance: float
    size: float
    title: str = "Click again"
    replaces_waiting: bool = True

    def run(self, scene: LiveScene, progress: Progress) -> str:
        last = _click_in(scene.made_last())
        if last is None:
            return f"The next click has a tolerance of {self.tolerance:g} and a size of {self.size:.0%}."
        again = replace(last, tolerance=self.tolerance, size=self.size, larger=None)
        before = scene.state.selection.clone()
        said = again_instead(scene, lambda: again.run(scene, progress), _CLICK)
        if torch.equal(scene.state.selection, before):
            return (
                f"With a tolerance of {self.tolerance:g} and a size of {self.size:.0%} the click means the same: what "
                "looks alike stays together. For a part of that use the brush."
            )
        return said


@dataclass(frozen=True)
class ClickMeansOther:
    """The last click means more, or less: a thing with its base, the thing alone, a part of it."""

    larger: bool

    @property
    def title(self) -> str:
        return "More" if self.larger else "Less"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        last = _click_in(scene.made_last())
        if last is None or last.by_color:
            raise ValueError("This goes with the last click: click on a thing first (Mouse: click)")
        again = replace(last, larger=(last.larger or 0) + (1 if self.larger else -1))
        return again_instead(scene, lambda: again.run(scene, progress), _CLICK)


def again_instead(scene: LiveScene, select: Callable[[], str], setting: str) -> str:
    """Select in place of the last thing that was done, if that was a selection with this setting: a slider on its way.

    Whatever `select` raises, the scene is then as it was.
    """
    if setting not in scene.made_last():
        return select()
    scene.move(scene.history.undo)
    try:
        return select()
    except BaseException:
        scene.move(scene.history.redo)
        raise


@dataclass(frozen=True)
class Draw:
    """What is seen in front inside of something that was drawn over a view."""

    drawing: Drawing
    camera: Cameras
    points: Sequence[Point]
    combine: Combine = "add"
    size: float = SIZE

    @property
    def title(self) -> str:
        return f"Select by {self.drawing}"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        mask = drawn_mask(self.drawing, self.points, self.camera.width, self.camera.height, self.size)
        what = "the brushed part" if self.drawing == "brush" else f"what is in the {self.drawing}"
        return combined(scene, select_seen(scene.gaussians, self.camera, mask, what), self.combine)


def combined(scene: LiveScene, found: Selection, combine: Combine, settings: dict[str, Any] | None = None) -> str:
    """Make the object of what was found and of what it is now; as a step, which is named by what was done. What is
    selected then is called by what it is made of, in few words.

    Raises:
        ValueError: nothing is selected that something could be taken away from, or kept of.
    """
    present, what = scene.selection, found.origin
    if combine == "new" or (combine == "add" and present.count == 0):
        return scene.select(found, f"selecting {what}", settings)
    thing = selected_object(scene)
    was = present.origin if thing is None else thing.name
    if combine == "add":
        both = was if what.startswith("a part of") or what in was else f"{was} and {what}"
        both = both if len(both) <= _LONGEST_WHAT else "several things"
        return scene.select(replace(algebra.union(present, found), origin=both), f"adding {what}", settings)
    if present.count == 0:
        raise ValueError("Nothing is selected yet. Select the object first.")
    if combine == "take away":
        rest = was.removesuffix(f" and {what}") if f" and {what}" in was else f"{was.removesuffix(_WITHOUT)}{_WITHOUT}"
        return scene.select(replace(algebra.minus(present, found), origin=rest), f"taking away {what}", settings)
    common = replace(algebra.intersect(present, found), origin=f"{was.removesuffix(_WITHOUT)}{_WITHOUT}")
    return scene.select(common, f"keeping only what is in {what}", settings)
