"""A scene cut into patches of one colour and one orientation, and the seams between them: what clicks choose from.

Single Gaussians are noisy (grains, half transparent layers, floaters); patches of some tens of them are not, and there
are few enough for a graph cut in no time. Neighbours merge, most alike first, as long as the seam between them is faint
(Felzenszwalb and Huttenlocher 2004 in spirit; seams are averaged over all Gaussians along them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from torch import Tensor

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.colors import base_colors, to_lab
from fasttext2style.selection.neighbours import REACH, widths_of

NEIGHBOURS = 10
"""Of a Gaussian, across which it may merge."""
SURFACE_NEIGHBOURS = 40
"""From which the surface's orientation at a Gaussian is taken."""
COLOR_UNIT, ORIENTATION_UNIT = 0.1, 0.5
"""Differences in CIELAB / 100 and between normals' outer products that make a seam of 1."""
FAINT = 0.3
"""Weaker seams are merged away."""
SMALL = 20.0
"""Seams around patches of fewer Gaussians (weighted by opacity) count less, so that grains merge with what is about."""
APART = 2.0
"""How strong a seam the border between two things is, besides what can be seen there."""
GREEDY_ROUNDS = 2
"""In the first rounds every Gaussian merges with its likest neighbour, later only two that are each other's likest."""


@dataclass(frozen=True)
class Patches:
    """Patches as a graph: nodes are patches, edges are seams between patches that touch."""

    of: Int[np.ndarray, " gaussians"]
    """The patch of each Gaussian."""
    sizes: Float[np.ndarray, " patches"]
    """Sum of opacities."""
    means: Float[np.ndarray, "patches 3"]
    """Middle, weighted by opacity."""
    colors: Float[np.ndarray, "patches 3"]
    """Mean CIELAB / 100."""
    ends: Int[np.ndarray, "seams 2"]
    """The two patches of each seam, the smaller number first."""
    contrasts: Float[np.ndarray, " seams"]
    """Mean jump across the seam in units of colour and orientation, plus the gap in units of their reach,
    plus `APART` between things."""
    lengths: Float[np.ndarray, " seams"]
    """How many pairs of Gaussians touch along the seam, weighted by opacity."""


def find_patches(gaussians: Gaussians, things: Int[Tensor, " gaussians"] | None = None) -> Patches:
    """Cut a scene into patches; no patch lies in two of the `things`, where these are known (-1 is one, too).

    Raises:
        ValueError: a scene without Gaussians.
    """
    if len(gaussians) == 0:
        raise ValueError("The scene has no Gaussians; is this the right checkpoint?")
    gaussians = gaussians.detach().to("cpu")
    points = gaussians.means.double().numpy()
    opacities = gaussians.opacities.double().numpy()
    nearest = min(SURFACE_NEIGHBOURS, len(points))
    distances, indices = KDTree(points).query(points, k=nearest, workers=-1)
    # One neighbour comes without its axis.
    distances, indices = (np.asarray(values).reshape(-1, nearest) for values in (distances, indices))
    normals, flatness = _surface(points, opacities, indices)
    lab = to_lab(base_colors(gaussians)).double().numpy()
    features = np.concatenate([lab / COLOR_UNIT, _orientation(normals, flatness) / ORIENTATION_UNIT], axis=1)
    one, other, distance = _pairs(indices[:, 1 : NEIGHBOURS + 1], distances)
    widths = widths_of(gaussians.scales).double().numpy()
    gaps = np.maximum(0.0, distance / (REACH * (widths[one] + widths[other]) + 1e-12) - 1)
    shares = np.sqrt(opacities[one] * opacities[other])[:, None]
    apart = np.zeros(len(one)) if things is None else (things[one] != things[other]).double().cpu().numpy()
    # Columns are sums along a seam: jumps (with their sign, so that noise averages out), gaps, borders of things,
    # length.
    extent = [gaps[:, None] * shares, apart[:, None] * shares, shares]
    seams = np.concatenate([(features[one] - features[other]) * shares, *extent], axis=1)
    of, sizes, ends, seams = _merged(np.stack([one, other], axis=1), seams.astype(np.float32), opacities)

    def mean(values: np.ndarray) -> np.ndarray:
        sums = [np.bincount(of, opacities * values[:, axis], len(sizes)) for axis in range(3)]
        return np.stack(sums, axis=1) / np.maximum(sizes, 1e-12)[:, None]

    contrasts, lengths = _contrasts(seams), seams[:, -1].astype(np.float64)
    return Patches(of, sizes, mean(points), mean(lab), ends, contrasts, lengths)


def _surface(points: np.ndarray, opacities: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normals [gaussians, 3] and flatness [gaussians] from where the neighbours lie, weighted by opacity.

    Not from the Gaussians' own rotations: those of reconstructed scenes are hardly flat, and noisy.
    """
    weights = opacities[indices] + 1e-6
    weights /= weights.sum(axis=1, keepdims=True)
    around = points[indices]
    around -= weights[:, None] @ around
    covariances = (around * weights[..., None]).transpose(0, 2, 1) @ around
    values, vectors = np.linalg.eigh(covariances)
    return vectors[:, :, 0], np.clip((values[:, 1] - values[:, 0]) / np.maximum(values[:, 2], 1e-30), 0, 1)


def _orientation(normals: np.ndarray, flatness: np.ndarray) -> np.ndarray:
    """[gaussians, 6]: normal times its transpose, which knows no sign of it, faded where nothing is flat."""
    outer = normals[:, [0, 1, 2, 0, 0, 1]] * normals[:, [0, 1, 2, 1, 2, 2]]
    # Off-diagonal entries occur twice: so distances are those of matrices.
    return outer * np.array([1, 1, 1, 2**0.5, 2**0.5, 2**0.5]) * flatness[:, None]


def _pairs(indices: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair of neighbours once, the smaller row first, and their distance."""
    count, neighbours = indices.shape
    one, other = np.repeat(np.arange(count), neighbours), indices.reshape(-1).astype(np.int64)
    keys, first = np.unique(np.minimum(one, other) * count + np.maximum(one, other), return_index=True)
    return keys // count, keys % count, distances[:, 1 : neighbours + 1].reshape(-1)[first]


def _contrasts(seams: np.ndarray) -> np.ndarray:
    lengths = np.maximum(seams[:, -1], 1e-12)
    jumps = np.linalg.norm(seams[:, :-3], axis=1)
    return ((jumps + seams[:, -3] + APART * seams[:, -2]) / lengths).astype(np.float64)


def _merged(
    ends: np.ndarray, seams: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Merge Gaussians into patches: the patch of each, the patches' sizes, and the seams that are left."""
    of, rounds = np.arange(len(sizes)), 0
    while len(ends) > 0:
        smaller = np.minimum(sizes[ends[:, 0]], sizes[ends[:, 1]])
        visible = np.where(seams[:, -2] > 0, np.inf, _contrasts(seams) * smaller / (smaller + SMALL))
        # Ranks and not contrasts are compared, so that ties cannot block each other for ever.
        rank = np.empty(len(ends), np.int64)
        rank[np.argsort(visible, kind="stable")] = np.arange(len(ends))
        likest = np.full(len(sizes), len(ends))
        np.minimum.at(likest, ends.reshape(-1), np.repeat(rank, 2))
        wanted = likest[ends] == rank[:, None]
        chosen = (wanted.any(axis=1) if rounds < GREEDY_ROUNDS else wanted.all(axis=1)) & (visible < FAINT)
        if not chosen.any():
            break
        pairs = ends[chosen]
        graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(sizes), len(sizes)))
        count, labels = connected_components(graph, directed=False)
        of, sizes = labels[of], np.bincount(labels, sizes, count)
        ends, seams = _joined(labels.astype(np.int64)[ends], seams, count)
        rounds += 1
    return of, sizes, ends, seams


def _joined(ends: np.ndarray, seams: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Seams inside a patch vanish, seams between the same two patches become one."""
    outer = ends[:, 0] != ends[:, 1]
    ends, seams = ends[outer], seams[outer]
    turned = ends[:, 0] > ends[:, 1]
    seams[turned, :-3] *= -1
    keys = ends.min(axis=1) * count + ends.max(axis=1) if len(ends) else np.zeros(0, np.int64)
    order = np.argsort(keys, kind="stable")
    keys, first = np.unique(keys[order], return_index=True)
    seams = np.add.reduceat(seams[order], first, axis=0) if len(keys) else seams
    return np.stack([keys // count, keys % count], axis=1), seams
