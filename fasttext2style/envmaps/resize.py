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
    rows, columns = _Shares(_heights(height), _heights(new_height)), _Shares(_evenly(width), _evenly(2 * new_height))
    done, small = 0, None
    for band in bands:
        if small is None:
            small = band.new_zeros(new_height, 2 * new_height, band.shape[2])
        narrow = columns.of(band.transpose(0, 1), 0, band.new_zeros(2 * new_height, len(band), band.shape[2]))
        small = rows.of(narrow.transpose(0, 1), done, small)
        done += len(band)
    if small is None or done != height:
        raise ValueError(f"Expected bands of {height} rows in all, got {done}")
    return small


def _evenly(parts: int) -> Tensor:
    return torch.linspace(0, 1, parts + 1, dtype=torch.float64)


def _heights(rows: int) -> Tensor:
    """[rows + 1] how far down their edges lie on the vertical, from 0 at the zenith to 1."""
    return (1 - (torch.arange(rows + 1, dtype=torch.float64) * (math.pi / rows)).cos()) / 2


class _Shares:
    """How much of each new interval the old ones cover: of each they add up to 1."""

    def __init__(self, old: Tensor, new: Tensor) -> None:
        edges = torch.cat([old, new]).unique()
        middles = (edges[1:] + edges[:-1]) / 2
        self.new, self.old = (torch.searchsorted(some, middles) - 1 for some in (new, old))
        self.share = edges.diff() / new.diff()[self.new]

    def of(self, values: Tensor, first: int, total: Tensor) -> Tensor:
        """`total` [new, ...] and what is added by the old intervals from `first` on, which have these values."""
        here = (self.old >= first) & (self.old < first + len(values))
        shares = self.share[here].to(values)[:, None, None]
        place, source = self.new[here].to(values.device), (self.old[here] - first).to(values.device)
        return total.index_add(0, place, values[source] * shares)
