"""The lowest part of a thing, which the roughness of the whole ground hides: by its height there, and by its colour.

A plane is found in all of a ground, and a reconstruction leaves it rough, so that what is lower than that would be lost
from each thing: a plate, the foot of a lamp, paws.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from fasttext2style.selection.neighbours import LONGEST_GAP
from fasttext2style.selection.seen import SeenScene, connected, weighted_median

ROBUST_DEVIATIONS = 3 * 1.4826
"""From the middle of a normal distribution, in medians of what lies how far from it."""
LEAST_AROUND = 10
"""Gaussians beside a thing; fewer say nothing of the ground there."""
LEAST_ABOVE = 0.15
"""Of a plane's half thickness a foot is higher than the ground beside it, on the whole if it is told by its colour:
shadows lie in the ground."""
COLOR_REACH = 3.0
"""A foot that is told by its colour goes on so many times as far as one that is told by its height alone."""
CLOSEST = 0.1
"""Share of a thing's colours, or of the ground's, among which the nearest to another one is looked for: more than the
few that reconstructions get wrong."""
LIKER, LEAST_APART = 0.5, 0.08
"""A foot's colour is so many times nearer to its thing's than to the ground's, in CIELAB / 100, and so far from it."""
LIGHTNESS = 0.5
"""So much of it counts: shade darkens the ground around a thing."""


def foot_of(
    scene: SeenScene,
    body: Int[Tensor, " body"],
    low: Int[Tensor, " low"],
    plane: tuple[Float[Tensor, "3"], float],
    tolerance: float,
) -> Int[Tensor, " foot"]:
    """What belongs to the foot of a body among all that lies in the plane below it, or so low that it may.

    Args:
        plane: unit normal, pointing up, and offset.
        tolerance: half thickness of the plane.
    """
    normal, offset = plane
    height = scene.means[low] @ normal - offset
    low, height = low[height > -2 * tolerance], height[height > -2 * tolerance]
    if len(low) == 0:
        return low
    sideways = torch.linalg.svd(normal[None], full_matrices=True)[2][1:].T
    beside = _nearest(scene.means[body] @ sideways, scene.means[low] @ sideways) / scene.distance
    found = _higher(height, beside, tolerance)
    by_color = _of_its_color(scene, body, low, beside)
    if bool(by_color.any()):
        ground = ~by_color & (beside < 2 * COLOR_REACH * LONGEST_GAP)
        step = _middle(scene, low, height, by_color) - _middle(scene, low, height, ground)
        found = found | by_color if step > LEAST_ABOVE * tolerance else found
    both = torch.cat([body, low[found]])
    labels = connected(scene, both)
    return both[len(body) :][torch.isin(labels[len(body) :], labels[: len(body)])]


def _higher(height: Float[Tensor, " low"], beside: Float[Tensor, " low"], tolerance: float) -> Bool[Tensor, " low"]:
    """Around one thing a ground is less rough than as a whole."""
    around = height[(beside > LONGEST_GAP) & (beside < 3 * LONGEST_GAP)]
    if len(around) < LEAST_AROUND:
        return torch.zeros_like(height, dtype=torch.bool)
    roughness = ROBUST_DEVIATIONS * float((around - around.median()).abs().median())
    return (beside < LONGEST_GAP) & (height > float(around.median()) + max(roughness, LEAST_ABOVE * tolerance))


def _of_its_color(
    scene: SeenScene, body: Int[Tensor, " body"], low: Int[Tensor, " low"], beside: Float[Tensor, " low"]
) -> Bool[Tensor, " low"]:
    """What has the colours of the body and none of the ground farther away."""
    reach = COLOR_REACH * LONGEST_GAP
    near, around = beside < reach, (beside >= reach) & (beside < 2 * reach)
    if int(around.sum()) < LEAST_AROUND or not bool(near.any()):
        return torch.zeros_like(near)
    weighed = scene.colors * scene.colors.new_tensor([LIGHTNESS, 1.0, 1.0])
    asked = weighed[low[near]]
    to_body, to_ground = (_nearest(some, asked, CLOSEST) for some in (weighed[body], weighed[low[around]]))
    near[near.clone()] = (to_body < LIKER * to_ground) & (to_ground > LEAST_APART)
    return near


def _middle(
    scene: SeenScene, low: Int[Tensor, " low"], height: Float[Tensor, " low"], which: Bool[Tensor, " low"]
) -> float:
    return float(weighted_median(height[which], scene.visible[low[which]])) if bool(which.any()) else 0.0


def _nearest(
    points: Float[Tensor, "points axes"], asked: Float[Tensor, "asked axes"], share: float = 0.0
) -> Float[Tensor, " asked"]:
    """How far the nearest of some points is from each that is asked for; the last of the nearest `share` of them."""
    number = max(1, int(share * len(points)))
    distances = KDTree(points.double().cpu().numpy()).query(asked.double().cpu().numpy(), k=number)[0]
    return torch.from_numpy(np.asarray(distances).reshape(len(asked), number)[:, -1]).to(points)
