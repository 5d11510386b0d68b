"""Selections out of selections: fuzzy sets on the same scene, and neighbourhoods in space.

Union is the larger weight, intersection the smaller, inversion one minus it (Zadeh 1965): the laws of sets hold, except
that a Gaussian of weight 0.5 is as much inside as outside. Nothing is changed in place.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import KDTree
from torch import Tensor

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.neighbours import bodies, widths_of
from fasttext2style.selection.selection import Selection
from fasttext2style.trust.text import one_line


def union(one: Selection, other: Selection) -> Selection:
    """What is in either.

    Raises:
        ValueError: selections of different scenes; so for all functions of two selections.
    """
    return _combined(torch.maximum(*_same_scene(one, other)), one, f"{one.origin} + {other.origin}", other)


def intersect(one: Selection, other: Selection) -> Selection:
    """What is in both."""
    return _combined(torch.minimum(*_same_scene(one, other)), one, f"{one.origin} and {other.origin}", other)


def minus(one: Selection, other: Selection) -> Selection:
    """What is in `one` and not in `other`."""
    kept, taken = _same_scene(one, other)
    return _combined(torch.minimum(kept, 1 - taken), one, f"{one.origin} - {other.origin}", other)


def invert(selection: Selection) -> Selection:
    """Everything else."""
    return replace(selection, weights=1 - selection.weights, origin=f"all but {selection.origin}")


def thresholded(selection: Selection, threshold: float | int) -> Selection:
    """Weight 1 where it was above `threshold`, else 0.

    Raises:
        ValueError: a threshold outside [0, 1), which would select everything or nothing whatever the weights.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"A threshold of weights lies in [0, 1), got {threshold}")
    weights = (selection.weights > threshold).to(selection.weights)
    return replace(selection, weights=weights, origin=f"{selection.origin}, above {threshold:g}")


def grow(gaussians: Gaussians, selection: Selection, distance: float | int) -> Selection:
    """Add Gaussians whose centre lies within `distance` of a selected one's; they take the nearest one's weight.

    Raises:
        ValueError: a negative distance, or a selection of another scene.
    """
    near, nearest = _near(gaussians, selection, selection.mask, distance)
    weights = selection.weights.clone()
    added = near & ~selection.mask
    weights[added] = weights[nearest[added]]
    return replace(selection, weights=weights, origin=f"{selection.origin}, grown by {distance:g}")


def shrink(gaussians: Gaussians, selection: Selection, distance: float | int) -> Selection:
    """Drop Gaussians whose centre lies within `distance` of one that is not selected.

    Raises:
        ValueError: a negative distance, or a selection of another scene.
    """
    near, _ = _near(gaussians, selection, ~selection.mask, distance)
    weights = selection.weights.masked_fill(near, 0.0)
    return replace(selection, weights=weights, origin=f"{selection.origin}, shrunk by {distance:g}")


def feather(gaussians: Gaussians, selection: Selection, distance: float | int) -> Selection:
    """Let weights fall off to the border: times d / `distance` where the nearest unselected centre is d < distance off.

    Nothing that was outside comes in. With selected centres at 1, 2, 3, ... on a line, an unselected one at 0, and a
    distance of 2, weights of 1 become 0.5, 1, 1, ...

    Raises:
        ValueError: a negative distance, or a selection of another scene.
    """
    selection.check_matches(gaussians)
    if not distance >= 0:
        raise ValueError(f"A distance is 0 or more, got {distance}")
    rest = (~selection.mask).cpu().numpy()
    if not rest.any() or distance == 0:
        return selection
    points = gaussians.means.detach().double().cpu().numpy()
    bound = np.nextafter(float(distance), np.inf)
    away, _ = KDTree(points[rest]).query(points, distance_upper_bound=bound, workers=-1)
    share = torch.from_numpy(np.minimum(away / distance, 1.0)).to(selection.weights)
    # What lies at the very place of something unselected stays in the object, as little as can be.
    share = share.clamp_min(torch.finfo(share.dtype).eps)
    return replace(
        selection, weights=selection.weights * share, origin=f"{selection.origin}, feathered by {distance:g}"
    )


def largest_component(gaussians: Gaussians, selection: Selection) -> Selection:
    """Keep the largest body of touching selected Gaussians, by the sum of its weights.

    Raises:
        ValueError: a selection of another scene.
    """
    selection.check_matches(gaussians)
    rows = selection.mask.nonzero()[:, 0]
    if len(rows) == 0:
        return selection
    widths = widths_of(gaussians.scales.detach()[rows])
    # Gaussians without form, much wider than the others, must not bridge what lies apart.
    # Found on the scene's device, which need not be the selection's: it may come from a file.
    labels = bodies(gaussians.means[rows], widths.clamp_max(4 * float(widths.median()))).to(rows.device)
    sizes = torch.zeros(int(labels.max()) + 1, dtype=torch.float64, device=rows.device)
    sizes.index_add_(0, labels, selection.weights[rows].double())
    weights = torch.zeros_like(selection.weights)
    kept = rows[labels == sizes.argmax()]
    weights[kept] = selection.weights[kept]
    return replace(selection, weights=weights, origin=f"largest part of {selection.origin}")


def _same_scene(one: Selection, other: Selection) -> tuple[Float[Tensor, " gaussians"], Float[Tensor, " gaussians"]]:
    names = [one_line(selection.origin) for selection in (one, other)]
    if len(one) != len(other):
        raise ValueError(
            f"Selections of one scene can be combined; these are of scenes with {len(one):,} ({names[0]}) and "
            f"{len(other):,} Gaussians ({names[1]}). Run `ft2s select` for both on the same scene."
        )
    if one.scene_mark is not None and other.scene_mark is not None and not one.scene_mark.same_scene(other.scene_mark):
        raise ValueError(
            f"These selections ({'; '.join(names)}) were made for two scenes of {len(one):,} Gaussians. "
            "Run `ft2s select` for both on the same scene."
        )
    return one.weights, other.weights.to(one.weights)


def _combined(weights: Float[Tensor, " gaussians"], one: Selection, origin: str, other: Selection) -> Selection:
    return Selection(weights, origin, one.scene_mark or other.scene_mark)


def _near(
    gaussians: Gaussians, selection: Selection, some: Bool[Tensor, " gaussians"], distance: float | int
) -> tuple[Bool[Tensor, " gaussians"], Tensor]:
    """Which Gaussians are within `distance` of `some` (they themselves are), and the row of the nearest of those."""
    selection.check_matches(gaussians)
    if not distance >= 0:
        raise ValueError(f"A distance is 0 or more, got {distance}")
    rows = some.nonzero()[:, 0].cpu()
    if len(rows) == 0:
        return some.clone(), torch.zeros(len(some), dtype=torch.long, device=some.device)
    points = gaussians.means.detach().double().cpu().numpy()
    # Just above `distance`: the search leaves its own bound out.
    bound = np.nextafter(float(distance), np.inf)
    distances, nearest = KDTree(points[rows.numpy()]).query(points, distance_upper_bound=bound, workers=-1)
    near = torch.from_numpy(np.asarray(distances) <= distance)
    # Where nothing is near the search answers one past the end.
    found = rows[torch.from_numpy(np.asarray(nearest)).clamp_max(len(rows) - 1)]
    return near.to(some.device), found.to(some.device)
