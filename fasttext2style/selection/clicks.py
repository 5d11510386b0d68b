"""From a few points on the object, and a few beside it, to the object: no network, no pictures.

Boykov and Jolly's interactive graph cut (2001) on patches of Gaussians: a patch is drawn to the side of the point that
it is like in colour and place, and the border between the sides runs along strong seams.

Where cameras tell what stands on what (`ground.py`), a point on a thing means that thing: likeness then decides between
points on it and points beside them on the same thing, and about what only touches it.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow
from scipy.spatial import KDTree
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.ground import Things, find_things
from fasttext2style.selection.patches import Patches, find_patches
from fasttext2style.selection.seen import LEAST_VIEWS
from fasttext2style.selection.selection import SceneMark, Selection

TOLERANCE = 2.0
"""Default: how unlike all positive points a patch may be where no negative point is nearer."""
COLOR_UNIT = 0.07
"""CIELAB / 100: this makes a colour unlike by 1."""
LIGHT_SHARE = 0.2
"""Weight of lightness beside hue and saturation: one object has light and shadow, less often two hues."""
PLACE_UNIT = 1.0
"""A place this many times the spread of all points away is unlike by 1."""
LEAST_SPREAD = 0.25
"""Of the spread of all points, as a share of the distance within which half of the scene lies."""
WITHIN, WITHIN_POWER = 12.0, 2.3
"""How unlike its points a patch of the same thing may be with the default tolerance: all of it belongs to it. With a
quarter of that tolerance only half a unit: a part."""
FLAT_ACROSS, FLAT_ALONG = 0.15, 2.5
"""The same about a point on something flat, out of its plane and within it: a point on the ground means the ground."""
FLAT_RADIUS = 0.8
"""How much of the surroundings must be flat for that, in spreads of all points."""
FLATNESS_LOSS = 4.0
"""Something as thick as one part in this of its width is not flat any more."""
SEAM_WEIGHT = 7.0
"""Of borders beside likeness: higher makes the border shorter, and keeps it to stronger seams."""
MOST_UNLIKE = 3.0
"""No single patch says more than this for one side."""


class ClickSelector:
    """Selects by points; the scene is cut into things and patches once, so that later clicks take no time::

        selector = ClickSelector(gaussians, cameras)
        bear = selector.select(torch.stack([back, slab]), negative=rock[None])

    Without cameras that see the scene from several sides it goes by likeness alone, and takes more points.
    """

    def __init__(self, gaussians: Gaussians, cameras: Cameras | None = None) -> None:
        gaussians = gaussians.detach()
        self._things = Things.unknown(gaussians)
        if cameras is not None and len(cameras) >= LEAST_VIEWS and len(gaussians) > 0:
            self._things = find_things(gaussians, cameras)
        self._patches = find_patches(gaussians, self._things.of)
        # That of any of its Gaussians, for no patch lies in two things.
        self._thing_of = np.empty(len(self._patches.sizes), np.int64)
        self._thing_of[self._patches.of] = self._things.of.numpy()
        # Points are clicked on what is seen: half transparent Gaussians before it are not meant, if there is a choice.
        solid = (gaussians.opacities > 0.5).cpu().numpy()
        self._solid = np.flatnonzero(solid if solid.any() else ~solid)
        self._tree = KDTree(gaussians.means.double().cpu().numpy()[self._solid])
        self._patch_of, self._mark, self._like = self._patches.of, SceneMark.of(gaussians), gaussians.means.new_zeros(0)
        self._on_base = self._things.on_base.numpy()

    def after_edits(self, gaussians: Gaussians, origins: Int[Tensor, " gaussians"]) -> ClickSelector:
        """Selects in a scene that this one has become, by what was seen before: an object keeps its seams in its first
        colours, whatever was painted over them.

        `origins` are the rows that the scene's Gaussians had here, -1 for new ones: those belong to what is nearest.
        """
        rows = origins.cpu().numpy().copy()
        added = np.flatnonzero(rows < 0)
        points = gaussians.means.detach().cpu().double().numpy()[added]
        rows[added] = self._solid[self._tree.query(points, workers=-1)[1]]
        there = copy(self)
        there._patch_of, there._mark = self._patches.of[rows], SceneMark.of(gaussians)
        there._on_base = self._things.on_base.numpy()[rows]
        there._like = gaussians.means.new_zeros(0)
        return there

    def select(
        self,
        positive: Float[Tensor, "positive 3"],
        negative: Float[Tensor, "negative 3"] | None = None,
        tolerance: float | int = TOLERANCE,
    ) -> Selection:
        """The object on which all `positive` points lie and no `negative` one; scribbles are many points.

        A higher `tolerance` takes in what is less like the positive points. About a thing that stands free: 0.5 means a
        part that looks alike, the default all of it, more also what it touches.

        Raises:
            ValueError: no positive point, points of another form, or one point asked to be in and out.
        """
        negative = positive.new_zeros(0, 3) if negative is None else negative
        if len(positive) == 0:
            raise ValueError("Selecting by clicks takes at least one point on the object")
        if not tolerance > 0:
            raise ValueError(f"The tolerance of clicks is above 0, got {tolerance}")
        inside, outside = self._clicked(positive), self._clicked(negative)
        patches = self._patches
        if np.isin(inside.patches, outside.patches).any():
            raise ValueError(
                "A point on the object and a point beside it fall on the same patch of the scene, which looks alike; "
                "put them farther apart"
            )
        meant = self._things_meant(inside)
        parts = [(inside.where(meant == thing), int(thing)) for thing in np.unique(meant)]
        favours = [self._favour(part, outside, thing, float(tolerance)) for part, thing in parts]
        favour = np.clip(np.max(favours, axis=0), -MOST_UNLIKE, MOST_UNLIKE) * patches.sizes
        ours, theirs = np.unique(inside.patches), np.unique(outside.patches)
        chosen = _connected(patches, _cut(patches, favour, ours, theirs), ours)
        weights = torch.from_numpy(chosen[self._patch_of]).to(self._like)
        origin = f"{len(positive)} points on it" + (f", {len(negative)} beside it" if len(negative) else "")
        return Selection(weights, origin, self._mark)

    def part(
        self, gaussians: Gaussians, point: Float[Tensor, "3"], reach: float, tolerance: float | int = TOLERANCE
    ) -> Selection:
        """What lies around a point of what it is on: no farther than `reach`, in the scene's units, and of its colour.

        Patches join as long as their colours differ from the point's by less than `tolerance`, as in `select`.
        """
        patches, clicked = self._patches, self._clicked(point[None])
        color = _color_unlikeness(patches, int(clicked.patches[0]))
        chosen = _connected(patches, color < tolerance**2, clicked.patches)[self._patch_of]
        near = (gaussians.means - point.to(gaussians.means)).norm(dim=1) < reach
        weights = (torch.from_numpy(chosen).to(near.device) & near).to(self._like)
        return Selection(weights, "a part", self._mark)

    def thing_at(self, point: Float[Tensor, "3"]) -> Bool[Tensor, " gaussians"] | None:
        """The Gaussians of the thing at this point, and of what stands on it; None where nothing stands free."""
        (thing,) = self._things_meant(self._clicked(point[None]))
        if thing < 0:
            return None
        members = np.isin(self._thing_of[self._patch_of], self._things.on(int(thing)))
        return torch.from_numpy(members).to(self._like.device)

    def parts_at(self, point: Float[Tensor, "3"]) -> dict[str, Bool[Tensor, " gaussians"]]:
        """What else a click here may mean than all of the thing, by what it is of "{}", the thing's name: the thing
        without its base, or the base; it alone where others stand on it; it and what it stands on."""
        (thing,) = self._things_meant(self._clicked(point[None]))
        if thing < 0:
            return {}
        of, parts = self._thing_of[self._patch_of], {}
        own = of == thing
        if (own & self._on_base).any():
            nearest = self._solid[self._tree.query(point.double().cpu().numpy())[1]]
            above = bool(self._things.on_base[nearest])
            parts["{} without its base" if above else "the base of {}"] = own & (self._on_base == above)
        if len(self._things.on(int(thing))) > 1:
            parts["{} without what stands on it"] = own
        if self._things.under[thing] >= 0:
            parts["{} and what it stands on"] = np.isin(of, self._things.on(self._things.under[thing]))
        return {what: torch.from_numpy(mask).to(self._like.device) for what, mask in parts.items()}

    def _clicked(self, points: Float[Tensor, "points 3"]) -> _Clicked:
        if len(points) == 0:
            return _Clicked(np.zeros((0, 3)), np.zeros(0, np.int64))
        nearest = np.atleast_1d(self._tree.query(points.double().cpu().numpy())[1])
        return _Clicked(self._tree.data[nearest], self._patches.of[self._solid[nearest]])

    def _things_meant(self, inside: _Clicked) -> Int[np.ndarray, " points"]:
        """The thing that each point is on; one at the foot of a thing that another point is on means it, too."""
        meant = self._thing_of[inside.patches]
        for thing in np.unique(meant[meant >= 0]):
            body = KDTree(self._tree.data[self._thing_of[self._patches.of[self._solid]] == thing])
            meant[(meant < 0) & (body.query(inside.points)[0] < self._things.foot)] = thing
        return meant

    def _favour(self, inside: _Clicked, outside: _Clicked, thing: int, tolerance: float) -> np.ndarray:
        """[patches]: how much more like these points on one thing (-1: on none) than like anything else."""
        patches, across = self._patches, max(0.0, tolerance - TOLERANCE)
        if thing < 0:
            spread = _spread(np.concatenate([inside.points, outside.points]), patches)
            # What stands free was not meant.
            limits = np.where(self._thing_of < 0, tolerance, across)
        else:
            ours, excluded = set(self._things.on(thing)), set[int]()
            for other in set(self._thing_of[outside.patches].tolist()) - {-1, thing}:
                there = set(self._things.on(other))
                excluded |= there if other in ours else there - ours  # what it stands on does not take it along
            members = np.isin(self._thing_of, list(ours - excluded))
            spread = _extent(patches, members)
            limits = np.where(members, WITHIN * (tolerance / TOLERANCE) ** WITHIN_POWER, across)
            limits[np.isin(self._thing_of, list(excluded))] = 0.0
            # Points beside it where nothing could belong to it anyway say no more than is known.
            outside = outside.where(limits[outside.patches] > 0)
        theirs = np.minimum(_unlikeness(patches, outside, spread, flats=thing < 0), limits)
        return theirs - _unlikeness(patches, inside, spread, flats=thing < 0)


@dataclass(frozen=True)
class _Clicked:
    """Where clicks have hit something."""

    points: Float[np.ndarray, "points 3"]
    patches: Int[np.ndarray, " points"]

    def where(self, chosen: np.ndarray) -> _Clicked:
        return _Clicked(self.points[chosen], self.patches[chosen])


def _spread(points: np.ndarray, patches: Patches) -> float:
    """The scale of the task: how far apart the points are; for one point or close ones a share of the scene."""
    middle = points.mean(axis=0)
    distances = np.linalg.norm(patches.means - middle, axis=1)
    order = np.argsort(distances)
    half = np.searchsorted(np.cumsum(patches.sizes[order]), patches.sizes.sum() / 2)
    scene = distances[order[min(half, len(order) - 1)]]
    return max(float(np.linalg.norm(points - middle, axis=1).max()), LEAST_SPREAD * float(scene), 1e-9)


def _extent(patches: Patches, members: np.ndarray) -> float:
    """How far a thing reaches from its middle."""
    middle = np.average(patches.means[members], axis=0, weights=patches.sizes[members] + 1e-12)
    return max(float(np.linalg.norm(patches.means[members] - middle, axis=1).max()), 1e-9)


def _unlikeness(patches: Patches, clicked: _Clicked, spread: float, flats: bool = True) -> np.ndarray:
    """[patches]: from the likest of the clicks, in colour and place; infinite if there are none.

    With `flats` a point on something flat means what lies in its plane.
    """
    least = np.full(len(patches.sizes), np.inf)
    for point, patch in zip(clicked.points, clicked.patches):
        color = _color_unlikeness(patches, int(patch))
        steps = (patches.means - point) / spread
        normal, flat = _plane(steps, patches.sizes) if flats else (np.array([0.0, 0.0, 1.0]), 0.0)
        across = (steps @ normal) ** 2
        along = (steps**2).sum(axis=1) - across
        unit_across, unit_along = (flat * unit + (1 - flat) * PLACE_UNIT for unit in (FLAT_ACROSS, FLAT_ALONG))
        least = np.minimum(least, color + across / unit_across**2 + along / unit_along**2)
    return np.sqrt(least)


def _color_unlikeness(patches: Patches, patch: int) -> np.ndarray:
    """[patches]: squared, from the colour of one patch."""
    lightness = np.array([LIGHT_SHARE, 1.0, 1.0])
    return (((patches.colors - patches.colors[patch]) * lightness / COLOR_UNIT) ** 2).sum(axis=1)


def _plane(steps: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit normal [3] of what lies around the origin, and from 0 to 1 how flat it is."""
    near = (steps**2).sum(axis=1) < FLAT_RADIUS**2
    if near.sum() < 4:
        return np.array([0.0, 0.0, 1.0]), 0.0
    covariance = np.cov(steps[near].T, aweights=sizes[near] + 1e-12)
    (thinnest, middle, _), axes = np.linalg.eigh(covariance)
    return axes[:, 0], max(0.0, 1 - FLATNESS_LOSS * (max(thinnest, 0.0) / max(middle, 1e-30)) ** 0.5)


def _cut(patches: Patches, favour: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """[patches] whether inside: the least sum of disfavoured sizes and of cut seams, exactly, as a minimum cut."""
    count = len(favour)
    source, sink = count, count + 1
    holding = SEAM_WEIGHT * patches.lengths * np.exp(-0.5 * patches.contrasts**2)
    # More than all seams of any patch: the points themselves are not up for discussion.
    certain = np.abs(favour).max() + np.bincount(patches.ends.reshape(-1), np.repeat(holding, 2), count).max() + 1
    favour = favour.copy()
    favour[ours], favour[theirs] = certain, -certain
    drawn, repelled = np.flatnonzero(favour > 0), np.flatnonzero(favour < 0)
    tails = np.concatenate([patches.ends[:, 0], patches.ends[:, 1], np.full(len(drawn), source), repelled])
    heads = np.concatenate([patches.ends[:, 1], patches.ends[:, 0], drawn, np.full(len(repelled), sink)])
    capacities = np.concatenate([holding, holding, favour[drawn], -favour[repelled]])
    # The solver counts in 32 bits.
    whole = (capacities * (2**28 / certain)).astype(np.int32)
    network = csr_matrix((whole, (tails, heads)), shape=(count + 2, count + 2))
    left = network - maximum_flow(network, source, sink).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    inside = np.zeros(count + 2, bool)
    inside[breadth_first_order(left, source, return_predecessors=False)] = True
    return inside[:count]


def _connected(patches: Patches, inside: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """What of `inside` hangs together with a clicked patch: things alike elsewhere were not meant."""
    ends = patches.ends[inside[patches.ends].all(axis=1)]
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(inside), len(inside)))
    _, bodies = connected_components(graph, directed=False)
    return inside & np.isin(bodies, bodies[ours])
