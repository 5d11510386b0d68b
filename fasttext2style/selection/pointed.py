"""What somebody means who points at a thing while something is selected already: that thing, or a part of it.

Both are decided by what is seen: whoever points at a thing that is in the picture as a whole means it; whoever has
moved so close that it is not, or takes something away from the very thing that is selected, means what lies around the
point. What else may be meant by a point is told in words (`meanings`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.clicks import TOLERANCE, ClickSelector
from fasttext2style.selection.selection import Selection

SIZE = 0.2
"""Default diameter of a part, as a share of the height of what is seen."""
IN_THE_PICTURE = 1.5
"""A thing that reaches farther from the point than this many heights of what is seen is not in the picture."""
THE_REST = 0.1
"""With less than this share of the object outside of it, a thing is the object; where nothing tells what stands free,
what looks alike is the object if it is the larger part of it."""

SAME = 0.9
"""Two meanings that share so much of both together are one."""
LOWER, HIGHER = (0.5, 1.0), (4.0, 8.0)
"""Tolerances of clicks that may mean less or more."""


@dataclass(frozen=True)
class Pointer:
    """A point and how it is looked at."""

    position: Float[Tensor, "3"]
    """In world coordinates, on what is seen."""
    height: float
    """Of what the view shows at this distance, in world units."""
    size: float = SIZE
    """Diameter of a part, as a share of the height."""
    tolerance: float = TOLERANCE
    """How unlike the point may be what belongs to it."""


def select_pointed(
    gaussians: Gaussians, selector: ClickSelector, present: Selection, pointer: Pointer, takes_away: bool = False
) -> Selection:
    """What is pointed at: what will be added to the present selection or taken away from it.

    Raises:
        ValueError: a tolerance that is not above 0.
    """
    point = pointer.position.to(gaussians.means)
    # Whether a part is meant does not hang on the tolerance: with more of it one never gets less.
    if present.count > 0 and _means_a_part(gaussians, selector, present, point, pointer.height, takes_away):
        return selector.part(gaussians, point, pointer.size * pointer.height / 2, pointer.tolerance)
    return selector.select(point[None], tolerance=pointer.tolerance)


def _means_a_part(
    gaussians: Gaussians,
    selector: ClickSelector,
    present: Selection,
    point: Float[Tensor, "3"],
    height: float,
    takes_away: bool,
) -> bool:
    whole = selector.select(point[None])
    distances = (gaussians.means[whole.mask] - point).norm(dim=1)
    farthest = float(torch.quantile(distances[:: -(-len(distances) // 100_000)], 0.95))
    return farthest > IN_THE_PICTURE * height or (takes_away and _is_object(selector, whole, present, point))


def _is_object(selector: ClickSelector, whole: Selection, present: Selection, point: Float[Tensor, "3"]) -> bool:
    """Little of the present selection is anything else."""
    thing = selector.thing_at(point)
    rest = present.mask & ~(whole.mask if thing is None else thing)
    return int(rest.sum()) < (0.5 if thing is None else THE_REST) * present.count


class Meaning(NamedTuple):
    """What a point may mean."""

    what: str
    """Of "{}", the name of the thing: "{} without its base"."""
    mask: Bool[Tensor, " gaussians"]


def meaning_at(selector: ClickSelector, point: Float[Tensor, "3"], found: Selection) -> Meaning:
    """What a click has found, in words: whether it is two things, one on the other, or a part of one."""
    parts, thing = selector.parts_at(point), selector.thing_at(point)
    whole = found.mask if thing is None else thing
    base = next((mask for what, mask in parts.items() if "base" in what), None)
    if float((found.mask & whole).sum()) < SAME * float(whole.sum()):
        return Meaning("a part of {}", found.mask)
    if base is not None:
        return Meaning("{} and its base", found.mask)
    stands = "{} without what stands on it" in parts
    return Meaning("{} and what stands on it" if stands else "{}", found.mask)


def meanings(selector: ClickSelector, point: Float[Tensor, "3"], tolerance: float | int) -> tuple[list[Meaning], int]:
    """All that a click at this point may mean, from the smallest on, and the number of what it means at first."""
    first = selector.select(point[None], tolerance=tolerance)
    found = [meaning_at(selector, point, first)]
    others = [Meaning(what, mask) for what, mask in selector.parts_at(point).items()]
    for tolerances, what in ((LOWER[::-1], "a part of {}"), (HIGHER, "{} and what it touches")):
        others += [Meaning(what, selector.select(point[None], tolerance=it).mask) for it in tolerances]
    for other in others:
        if bool(other.mask.any()) and all(shared(other.mask, it.mask) < SAME for it in found):
            found.append(other)
    begins = found[0]
    found.sort(key=lambda meaning: int(meaning.mask.sum()))
    return found, next(number for number, it in enumerate(found) if it is begins)


def shared(one: Bool[Tensor, " gaussians"], other: Bool[Tensor, " gaussians"]) -> float:
    """How much of both together they share (intersection over union), from 0 to 1; of two empty ones 0."""
    return float((one & other).sum()) / max(1, int((one | other).sum()))
