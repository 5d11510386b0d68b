"""Which Gaussians touch: the graph behind bodies, growing and clicks."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from torch import Tensor

REACH = 2.5
"""Two Gaussians touch within this many standard deviations of both."""
LONGEST_GAP = 0.04
"""Across which two Gaussians may touch, in units of the cameras' distance."""
SPARSE_GAP = 3.0
"""The same in units of the spacing of neighbours, for scenes of few Gaussians."""


def bodies(
    means: Float[Tensor, "gaussians 3"],
    widths: Float[Tensor, " gaussians"],
    longest: float = math.inf,
    neighbours: int = 10,
) -> Int[Tensor, " gaussians"]:
    """Number the bodies of touching Gaussians: for each Gaussian the number of its body, from 0.

    Each is compared with its nearest `neighbours`; `widths` are standard deviations, and no gap of `longest` or more is
    bridged, for Gaussians without form are as wide as they like.
    """
    neighbours = min(neighbours, len(means) - 1)
    if neighbours < 1:
        return torch.zeros(len(means), dtype=torch.long, device=means.device)
    points = means.detach().double().cpu().numpy()
    distances, indices = (np.asarray(values)[:, 1:] for values in KDTree(points).query(points, k=neighbours + 1))
    reach = REACH * widths.detach().double().cpu().numpy()
    touching = (distances < reach[:, None] + reach[indices]) & (distances < longest)
    one, other = np.nonzero(touching)[0], indices[touching]
    graph = coo_matrix((np.ones(len(one)), (one, other)), shape=(len(points), len(points)))
    _, labels = connected_components(graph, directed=False)
    return torch.from_numpy(labels).long().to(means.device)


def nearest(means: Float[Tensor, "gaussians 3"], count: int) -> Int[Tensor, "gaussians neighbours"]:
    """Rows of the nearest others of each, the nearest first: `count`, or all where there are fewer."""
    count = min(count, len(means) - 1)
    if count < 1:
        return torch.zeros(len(means), 0, dtype=torch.long, device=means.device)
    points = means.detach().double().cpu().numpy()
    indices = np.asarray(KDTree(points).query(points, k=count + 1, workers=-1)[1])
    # Of Gaussians at one place any may come first, also another one.
    own = indices == np.arange(len(points))[:, None]
    own[~own.any(axis=1), -1] = True
    return torch.from_numpy(indices[~own].reshape(len(points), count)).long().to(means.device)


def spacing(means: Float[Tensor, "gaussians 3"], neighbour: int = 4, samples: int = 2000) -> float:
    """Median distance to the so-manieth nearest neighbour, of some at even steps; 0 for as few Gaussians or fewer."""
    if len(means) <= neighbour:
        return 0.0
    points = means.detach().double().cpu().numpy()
    distances, _ = KDTree(points).query(points[:: 1 + len(points) // samples], k=neighbour + 1)
    return float(np.median(np.asarray(distances)[:, -1]))


def longest_gap(means: Float[Tensor, "rows 3"], distance: float) -> float:
    """Across which two of these may touch, `distance` being that of the cameras."""
    return max(LONGEST_GAP * distance, SPARSE_GAP * spacing(means))


def widths_of(scales: Float[Tensor, "gaussians 3"]) -> Float[Tensor, " gaussians"]:
    """The middle one of the three standard deviations: flat and long Gaussians alike do not reach further."""
    return scales.median(dim=1).values
