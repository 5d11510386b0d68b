"""From a few points on the object, and a few beside it, to the object: no network, no pictures.

Boykov and Jolly's interactive graph cut (2001) on patches of Gaussians: a patch is drawn to the side of the point that
it is like in colour and place, and the border between the sides runs along strong seams.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow
from scipy.spatial import KDTree
from torch import Tensor

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.patches import Patches, find_patches
from fasttext2style.selection.selection import Selection

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
    """Selects by points; the scene is cut into patches once, so that later clicks take no time.

    Make a new one when Gaussians were added, removed or recoloured::

        selector = ClickSelector(gaussians)
        bear = selector.select(torch.stack([back, slab]), negative=rock[None])
    """

    def __init__(self, gaussians: Gaussians) -> None:
        self._gaussians = gaussians.detach()
        self._patches = find_patches(gaussians)
        # Points are clicked on what is seen: half transparent Gaussians before it are not meant, if there is a choice.
        solid = (gaussians.opacities.detach() > 0.5).cpu().numpy()
        self._solid = np.flatnonzero(solid if solid.any() else ~solid)
        self._tree = KDTree(gaussians.means.detach().double().cpu().numpy()[self._solid])

    def select(
        self,
        positive: Float[Tensor, "positive 3"],
        negative: Float[Tensor, "negative 3"] | None = None,
        tolerance: float | int = TOLERANCE,
    ) -> Selection:
        """The object on which all `positive` points lie and no `negative` one; scribbles are many points.

        A higher `tolerance` takes in what is less like the positive points: 1 keeps to their colour and surroundings.

        Raises:
            ValueError: no positive point, points of another form, or one point asked to be in and out.
        """
        negative = positive.new_zeros(0, 3) if negative is None else negative
        if len(positive) == 0:
            raise ValueError("Selecting by clicks takes at least one point on the object")
        if not tolerance > 0:
            raise ValueError(f"The tolerance of clicks is above 0, got {tolerance}")
        inside, outside = self._rows(positive), self._rows(negative)
        patches = self._patches
        ours, theirs = np.unique(patches.of[inside]), np.unique(patches.of[outside])
        if np.isin(ours, theirs).any():
            raise ValueError(
                "A point on the object and a point beside it fall on the same patch of the scene, which looks alike; "
                "put them farther apart"
            )
        points_inside, points_outside = self._points(inside), self._points(outside)
        spread = _spread(np.concatenate([points_inside, points_outside]), patches)
        unlike_ours = _unlikeness(patches, inside, points_inside, spread)
        unlike_theirs = np.minimum(_unlikeness(patches, outside, points_outside, spread), tolerance)
        favour = np.clip(unlike_theirs - unlike_ours, -MOST_UNLIKE, MOST_UNLIKE) * patches.sizes
        chosen = _connected(patches, _cut(patches, favour, ours, theirs), ours)
        weights = torch.from_numpy(chosen[patches.of]).to(self._gaussians.means)
        origin = f"{len(positive)} points on it" + (f", {len(negative)} beside it" if len(negative) else "")
        return Selection(weights, origin).for_scene(self._gaussians)

    def _rows(self, points: Float[Tensor, "points 3"]) -> np.ndarray:
        if len(points) == 0:
            return np.zeros(0, np.int64)
        return self._solid[np.atleast_1d(self._tree.query(points.double().cpu().numpy())[1])]

    def _points(self, rows: np.ndarray) -> np.ndarray:
        return self._gaussians.means[rows].double().cpu().numpy()


def _spread(points: np.ndarray, patches: Patches) -> float:
    """The scale of the task: how far apart the points are; for one point or close ones a share of the scene."""
    middle = points.mean(axis=0)
    distances = np.linalg.norm(patches.means - middle, axis=1)
    order = np.argsort(distances)
    half = np.searchsorted(np.cumsum(patches.sizes[order]), patches.sizes.sum() / 2)
    scene = distances[order[min(half, len(order) - 1)]]
    return max(float(np.linalg.norm(points - middle, axis=1).max()), LEAST_SPREAD * float(scene), 1e-9)


def _unlikeness(patches: Patches, rows: np.ndarray, points: np.ndarray, spread: float) -> np.ndarray:
    """[patches]: from the likest of the clicked Gaussians, in colour and place; infinite if there are none."""
    least = np.full(len(patches.sizes), np.inf)
    lightness = np.array([LIGHT_SHARE, 1.0, 1.0])
    for row, point in zip(rows, points):
        color = (((patches.colors - patches.colors[patches.of[row]]) * lightness / COLOR_UNIT) ** 2).sum(axis=1)
        steps = (patches.means - point) / spread
        normal, flat = _plane(steps, patches.sizes)
        across = (steps @ normal) ** 2
        along = (steps**2).sum(axis=1) - across
        unit_across, unit_along = (flat * unit + (1 - flat) * PLACE_UNIT for unit in (FLAT_ACROSS, FLAT_ALONG))
        least = np.minimum(least, color + across / unit_across**2 + along / unit_along**2)
    return np.sqrt(least)


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
