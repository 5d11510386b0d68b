"""Selecting by a shape in space: every Gaussian whose centre lies in it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection

Point = Sequence[float | int] | Float[Tensor, "3"]


def select_box(
    gaussians: Gaussians,
    center: Point,
    size: Point,
    rotation: Float[Tensor, "3 3"] | None = None,
) -> Selection:
    """Centres within a box (its surface included).

    `size` is the full length of the sides, `rotation` takes the box's axes to the world's (none: axes parallel). A box
    of size (2, 2, 2) at the origin contains (1, 0, 0) and not (1.001, 0, 0).

    Raises:
        ValueError: a side that is not positive, a centre that is no place, or a matrix that is no rotation.
    """
    center, size = _place(center, gaussians), torch.as_tensor(size).to(gaussians.means)
    if not bool((size > 0).all()):
        raise ValueError(f"The sides of a box are positive, got {size.tolist()}")
    rotation = torch.eye(3).to(gaussians.means) if rotation is None else rotation.to(gaussians.means)
    if not torch.allclose(rotation.T @ rotation, torch.eye(3).to(rotation), atol=1e-4) or torch.det(rotation) < 0:
        raise ValueError(f"A rotation matrix has orthonormal columns and determinant 1, got {rotation.tolist()}")
    inside = ((gaussians.means - center) @ rotation).abs() <= size / 2
    place = ", ".join(f"{value:g}" for value in center.tolist())
    return Selection(inside.all(dim=1).to(gaussians.means), f"box at ({place})").for_scene(gaussians)


def select_sphere(gaussians: Gaussians, center: Point, radius: float | int) -> Selection:
    """Centres within a ball (its surface included).

    Raises:
        ValueError: the radius is not positive, or the centre is no place.
    """
    if not radius > 0:
        raise ValueError(f"The radius of a sphere is positive, got {radius}")
    center = _place(center, gaussians)
    place = ", ".join(f"{value:g}" for value in center.tolist())
    inside = (gaussians.means - center).norm(dim=1) <= radius
    return Selection(inside.to(gaussians.means), f"sphere at ({place}), radius {radius:g}").for_scene(gaussians)


def _place(center: Point, gaussians: Gaussians) -> Float[Tensor, "3"]:
    place = torch.as_tensor(center).to(gaussians.means)
    if not bool(place.isfinite().all()):
        raise ValueError(f"The centre of a shape is three numbers, got {place.tolist()}")
    return place
