"""Panoramas as pictures of all directions: looking them up, cutting views out, turning, summing.

A panorama is [height, width, 3], linear radiance, twice as wide as high, in the axes of nerfstudio's world (z up) and
as Blender lays it around a scene: row 0 is at the zenith, +z; its middle looks along +x, a quarter of its width further
left +y, further right -y. Azimuths are counted from +x towards +y, so they fall from left to right.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras


def directions(height: int, width: int, first: int = 0, rows: int | None = None) -> Float[Tensor, "rows width 3"]:
    """Unit vectors along which the middles of a panorama's pixels look, float64; of all rows, or of some from `first`.

    Of 2 x 4 pixels the first looks half up and between -x and +y: (-0.5, 0.5, 0.7071).
    """
    rows = height - first if rows is None else rows
    colatitudes = (torch.arange(first, first + rows, dtype=torch.float64) + 0.5) * (math.pi / height)
    azimuths = math.pi - (torch.arange(width, dtype=torch.float64) + 0.5) * (2 * math.pi / width)
    level = colatitudes.sin()[:, None]
    up = colatitudes.cos()[:, None].expand(rows, width)
    return torch.stack([level * azimuths.cos(), level * azimuths.sin(), up], dim=-1)


def sample(
    panorama: Float[Tensor, "height width channels"], along: Float[Tensor, "*rays 3"]
) -> Float[Tensor, "*rays channels"]:
    """What a panorama shows along directions of any length (not 0), bilinearly; differentiable in both.

    The left edge goes on at the right one. A pole has one value, the mean of the row next to it, so nothing jumps there
    however one crosses it, and no value lies outside those of the panorama.
    """
    height, width = panorama.shape[:2]
    x, y, z = along.unbind(-1)
    level = x**2 + y**2
    # At the poles the azimuth means nothing, and its gradient would be no number.
    polar = level <= torch.finfo(along.dtype).tiny
    x, level = (
        torch.where(polar, 1.0, x),
        torch.where(polar, 0.0, level.clamp_min(torch.finfo(along.dtype).tiny).sqrt()),
    )
    columns = (0.5 - torch.atan2(torch.where(polar, 0.0, y), x) / (2 * math.pi)) * width - 0.5
    rows = torch.atan2(level, z) * (height / math.pi) - 0.5
    # The poles lie half a pixel above the first row and below the last; they are made rows -1 and `height`.
    rows = torch.where(rows < 0, 2 * rows, torch.where(rows > height - 1, 2 * rows - (height - 1), rows))
    top, left = rows.detach().floor().clamp(-1, height - 1), columns.detach().floor()
    down, right = (rows - top)[..., None].to(panorama.dtype), (columns - left)[..., None].to(panorama.dtype)
    table = panorama.reshape(height * width, -1)
    poles = panorama[0].mean(dim=0), panorama[-1].mean(dim=0)

    def row(number: Tensor) -> Tensor:
        first = number.long().clamp(0, height - 1) * width
        values = torch.lerp(table[first + left.long() % width], table[first + (left.long() + 1) % width], right)
        values = torch.where((number < 0)[..., None], poles[0], values)
        return torch.where((number > height - 1)[..., None], poles[1], values)

    return torch.lerp(row(top), row(top + 1), down)


def crops(
    panorama: Float[Tensor, "height width channels"], cameras: Cameras
) -> Float[Tensor, "views crop_height crop_width channels"]:
    """What pinhole cameras see of a panorama that is infinitely far away; where they stand does not matter."""
    return sample(panorama, ray_directions(cameras))


def ray_directions(cameras: Cameras) -> Float[Tensor, "views height width 3"]:
    """Where the middle of each pixel looks, in the world; as long as it takes to be 1 along the camera's axis."""
    x = torch.arange(cameras.width, device=cameras.device) + 0.5
    y = torch.arange(cameras.height, device=cameras.device) + 0.5
    pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), x.new_ones(len(y), len(x))], dim=-1)
    to_world = cameras.viewmats[:, :3, :3].transpose(1, 2) @ torch.linalg.inv(cameras.Ks)
    return torch.einsum("vij,hwj->vhwi", to_world, pixels.to(to_world))


def turned(
    panorama: Float[Tensor, "height width channels"], degrees: float | int
) -> Float[Tensor, "height width channels"]:
    """A panorama turned about the vertical, counterclockwise seen from above: what was along +x comes to +y by 90.

    By whole pixels bit by bit; between them each pixel is a mean of two neighbours: the light of each row stays.
    """
    width = panorama.shape[1]
    pixels = math.fmod(degrees, 360.0) / 360.0 * width
    whole = math.floor(pixels)
    if min(pixels - whole, whole + 1 - pixels) < 1e-6:
        return panorama.roll(-round(pixels), dims=1)
    return torch.lerp(panorama.roll(-whole, dims=1), panorama.roll(-whole - 1, dims=1), pixels - whole)


def solid_angles(height: int, width: int) -> Float[Tensor, " height"]:
    """Steradians of one pixel of each row, float64; over all pixels 4 pi."""
    edges = (torch.arange(height + 1, dtype=torch.float64) * (math.pi / height)).cos()
    return (edges[:-1] - edges[1:]) * (2 * math.pi / width)


def integral(panorama: Float[Tensor, "height width channels"]) -> Float[Tensor, " channels"]:
    """Light from all sides, radiance times solid angle, float64; 4 pi where all of it is 1."""
    angles = solid_angles(*panorama.shape[:2]).to(panorama.device)
    # Summed in float64 one row at a time: a sun beside dark pixels, and no copy of a large map.
    rows = torch.stack([row.double().sum(dim=0) for row in panorama])
    return (rows * angles[:, None]).sum(dim=0)
