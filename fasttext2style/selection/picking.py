"""What lies under the mouse: from a pixel, or a ray, to a point in the scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.colors import base_colors

NEAR = 0.01
"""As the rasterizer: what is nearer is not seen."""
BLUR_VARIANCE = 0.3
"""In square pixels: what the rasterizer adds to every splat on the screen."""
SOLID = 0.5
"""Less opacity along the whole ray is no surface."""
HIDDEN = 0.03
"""What lies before a point by more than this share of its depth hides it."""


@dataclass(frozen=True)
class Picked:
    """A visible point."""

    position: Float[Tensor, "3"]
    """In world coordinates, where half of the light is gone."""
    row: int
    """The Gaussian there."""
    color: Float[Tensor, "3"]
    """sRGB of what shows there, without view dependence."""


def pick(gaussians: Gaussians, camera: Cameras, x: float | int, y: float | int) -> Picked:
    """What is seen at pixel coordinates x, y (0, 0 is the upper left corner of the image) of one view.

    Raises:
        ValueError: not one view, a point outside the image, or nothing solid there.
    """
    if len(camera) != 1:
        raise ValueError(f"Picking takes one view, got {len(camera)}; choose one with cameras[number]")
    if not (0 <= x <= camera.width and 0 <= y <= camera.height):
        raise ValueError(f"({x:g}, {y:g}) lies outside the image of {camera.width} x {camera.height} pixels")
    K, viewmat = camera.Ks[0], camera.viewmats[0]
    direction = torch.linalg.solve(K, K.new_tensor([float(x), float(y), 1.0])) @ viewmat[:3, :3]
    # One pixel's angle in the middle of the image; towards the corners it is less, which does not matter here.
    return pick_ray(gaussians, camera.centers[0], direction, math.sqrt(BLUR_VARIANCE) / float(K[0, 0]))


@torch.no_grad()
def pick_ray(
    gaussians: Gaussians, origin: Float[Tensor, "3"], direction: Float[Tensor, "3"], spread: float = 0.001
) -> Picked:
    """What a ray from `origin` meets first, seen through whatever is transparent.

    A Gaussian counts with its greatest density along the ray, at the depth where that is (Keselman and Hebert 2022;
    the rasterizer's own approximation takes the centre's depth). `spread` is how much the ray widens, standard
    deviation per unit of length, as pixels do: without it rays slip through between small Gaussians.

    Raises:
        ValueError: nothing solid along the ray.
    """
    direction = torch.nn.functional.normalize(direction.to(gaussians.means), dim=0)
    offsets = gaussians.means - origin.to(gaussians.means)
    depths = offsets @ direction
    widths = gaussians.scales.max(dim=1).values + spread * depths
    # Beyond 3.4 standard deviations no opacity reaches 1/255: those need not be looked at closely.
    near = (depths > NEAR) & ((offsets.square().sum(dim=1) - depths.square()) < (3.4 * widths).square())
    rows = near.nonzero()[:, 0]
    depths, densities = _peaks(gaussians.subset(rows), offsets[rows], direction, spread)
    alphas = gaussians.opacities[rows] * densities
    alphas = torch.where((alphas >= 1 / 255) & (depths > 0), alphas, 0).clamp_max(0.999)
    order = depths.argsort()
    weights = alphas[order] * torch.cumprod(torch.cat([alphas.new_ones(1), 1 - alphas[order]]), dim=0)[:-1]
    total = weights.sum()
    if len(rows) == 0 or total < SOLID:
        raise ValueError("Nothing solid there (sky, or a hole in the scene); click on the object itself")
    middle = int(torch.searchsorted(weights.cumsum(dim=0), total / 2).clamp_max(len(rows) - 1))
    row = int(rows[order[middle]])
    color = (weights / total) @ base_colors(gaussians.subset(rows[order]))
    return Picked(origin.to(gaussians.means) + depths[order[middle]] * direction, row, color)


def seen_at(gaussians: Gaussians, cameras: Cameras, position: Float[Tensor, "3"]) -> tuple[int, float, float] | None:
    """In which view a point is seen best, and at which x, y: the most central of those where nothing hides it.

    None if no view shows it. `pick` there finds the point again.
    """
    local = cameras.viewmats[:, :3, :3] @ position.to(cameras.viewmats) + cameras.viewmats[:, :3, 3]
    pixels = torch.einsum("vij,vj->vi", cameras.Ks, local)
    pixels, depths = pixels[:, :2] / local[:, 2:].clamp_min(NEAR), local[:, 2]
    size = pixels.new_tensor([cameras.width, cameras.height])
    shows = (depths > NEAR) & ((pixels >= 0) & (pixels <= size)).all(dim=1)
    off_centre = ((pixels - size / 2) / size).norm(dim=1)
    for view in off_centre.argsort().tolist():
        if not bool(shows[view]):
            continue
        x, y = pixels[view].tolist()
        try:
            found = pick(gaussians, cameras[view], x, y)
        except ValueError:
            continue
        if float((found.position.to(position) - position).norm()) <= HIDDEN * float(depths[view]):
            return view, x, y
    return None


def _peaks(
    gaussians: Gaussians, offsets: Float[Tensor, "gaussians 3"], direction: Float[Tensor, "3"], spread: float
) -> tuple[Float[Tensor, " gaussians"], Float[Tensor, " gaussians"]]:
    """Depth of each Gaussian's greatest density on the ray, and that density as a share of the one in its centre."""
    axes = rotations_of(gaussians.quats)
    variances = gaussians.scales.square() + (spread * (offsets @ direction))[:, None].square()
    along = direction @ axes  # the ray's direction in each Gaussian's own axes
    across = torch.einsum("gi,gij->gj", offsets, axes)
    depths = (along * across / variances).sum(dim=1) / (along.square() / variances).sum(dim=1)
    misses = across - depths[:, None] * along
    return depths, torch.exp(-0.5 * (misses.square() / variances).sum(dim=1))


def rotations_of(quats: Float[Tensor, "gaussians 4"]) -> Float[Tensor, "gaussians 3 3"]:
    """Rotation matrices; columns are the Gaussian's axes in world coordinates."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(dim=1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)
