"""Panoramas of other sizes that give the same light."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.sphere import directions, sample


def resized(
    panorama: Float[Tensor, "height width channels"], height: int
) -> Float[Tensor, "new_height new_width channels"]:
    """The same on so many rows and twice as many columns.

    Smaller, each pixel is the mean over the solid angle that it covers, so that the integral over the sphere stays;
    larger, it is sampled between the pixels.
    """
    if height == panorama.shape[0]:
        return panorama.clone()
    if height > panorama.shape[0]:
        return sample(panorama, directions(height, 2 * height).to(panorama))
    return shrunk([panorama], panorama.shape[0], panorama.shape[1], height)


def shrunk(
    bands: Iterable[Float[Tensor, "_ width channels"]], height: int, width: int, new_height: int
) -> Float[Tensor, "new_height new_width channels"]:
    """`resized` of a panorama that comes in bands of rows from the top, and is nowhere held as a whole."""
    # The solid angle of a band of latitude is proportional to how high it is: rows are shares of the vertical.
    rows = _shares(_heights(height), _heights(new_height))
    columns = _shares(_evenly(width), _evenly(2 * new_height))
    done, narrow = 0, None
    for band in bands:
        parts = rows[:, done : done + len(band)]
        touched = parts.any(dim=1).nonzero()[:, 0]
        first, last = int(touched[0]), int(touched[-1]) + 1
        if narrow is None:
            narrow = band.new_zeros(new_height, width, band.shape[2])
        narrow[first:last] += torch.einsum("ij,jwc->iwc", parts[first:last].to(band), band)
        done += len(band)
    if narrow is None or done != height:
        raise ValueError(f"Expected bands of {height} rows in all, got {done}")
    return torch.einsum("ij,hjc->hic", columns.to(narrow), narrow)


def _evenly(parts: int) -> Tensor:
    return torch.linspace(0, 1, parts + 1, dtype=torch.float64)


def _heights(rows: int) -> Tensor:
    """[rows + 1] how far down their edges lie on the vertical, from 0 at the zenith to 1."""
    return (1 - (torch.arange(rows + 1, dtype=torch.float64) * (math.pi / rows)).cos()) / 2


def _shares(old: Tensor, new: Tensor) -> Tensor:
    """[new, old] how much of each new interval an old one covers; each row adds up to 1."""
    overlap = torch.minimum(new[1:, None], old[None, 1:]) - torch.maximum(new[:-1, None], old[None, :-1])
    return overlap.clamp_min(0) / (new[1:] - new[:-1])[:, None]
