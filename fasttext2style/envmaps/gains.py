"""A change of light: by how many stops each direction becomes brighter, in each colour; as parameters, and carried out.

The change is smooth and multiplies, so that it fits a source of any size: details, suns and lamps are the source's.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.edit_settings import Fields
from fasttext2style.envmaps.sphere import directions, sample, solid_angles

MOST_STOPS = 6.0
"""Light changes by less than a factor of 64."""
DARKEST = 1 / 128
"""Of white: what is added to light before it is multiplied, so that black can become brighter."""
_COARSEST_ROWS = 4
_AT_ONCE = 64 * 4096
"""Pixels that are lit together: some 400 bytes each."""


class Gains:
    """Stops for each direction: the sum of fields of several sizes, each twice as fine as the one before.

    Coarse fields move large areas by one number, so that an optimiser finds them first; there is no seam, for fields
    go on around the sphere and over its poles. `pixels` has one field alone, of full size.

    Args:
        rows: of the panorama that is worked on, a power of two from 16 on.
        variables: which fields there are.
    """

    def __init__(self, rows: int, variables: Fields, device: torch.device | str = "cpu") -> None:
        if rows < 16 or rows & (rows - 1):
            raise ValueError(f"A change of light has 16, 32, 64 ... rows, got {rows}")
        finest = rows // 4 if variables == "pyramid" else rows
        sizes = [rows] if variables == "pixels" else []
        while variables == "pyramid" and finest >= _COARSEST_ROWS:
            sizes.insert(0, finest)
            finest //= 2
        self.rows = rows
        self.fields = [torch.zeros(size, 2 * size, 3, device=device, requires_grad=True) for size in sizes]

    def __call__(self) -> Float[Tensor, "rows width 3"]:
        """The change in stops, less than `MOST_STOPS` either way; differentiable in the fields."""
        total, *finer = self.fields
        shift = 1
        while len(total) < self.rows:
            # Steps are largest between the columns of a coarse field. Shifted by a third of its columns, no field has
            # those at the border of the map, where all would meet and look like a seam.
            total, shift = doubled(total).roll(shift, dims=1), -shift
            if finer:
                total = total + finer.pop(0)
        return MOST_STOPS * torch.tanh(total / MOST_STOPS)


def doubled(field: Float[Tensor, "rows width channels"]) -> Float[Tensor, "new_rows new_width channels"]:
    """Twice as many rows and columns: each new pixel has 9/16 of the nearest, 3/16 of two others, 1/16 of the fourth.

    Repeated, that is a smooth surface (a biquadratic spline). Left and right edge are neighbours, and across a pole
    lies the same row, half around.
    """
    half = field.shape[1] // 2
    field = torch.cat([field[:1].roll(half, dims=1), field, field[-1:].roll(half, dims=1)])
    field = torch.cat([field[:, -1:], field, field[:, :1]], dim=1)
    twice = F.interpolate(field.permute(2, 0, 1)[None], scale_factor=2.0, mode="bilinear", align_corners=False)[0]
    return twice[:, 2:-2, 2:-2].permute(1, 2, 0)


def lit(
    radiance: Float[Tensor, "*pixels 3"], stops: Float[Tensor, "*pixels 3"], exposure_stops: float
) -> Float[Tensor, "*pixels 3"]:
    """Light changed by so many stops, where screens of this exposure can show it.

    What a screen shows decides: light that it shows as white, suns and lamps, keeps all of its energy as long as the
    changed light is white, too, and after that goes down with it (source times edited over source, both as the screen
    shows them). Nothing becomes brighter than white that was not. 0 stops change no bit; of light of half of white -1
    stop makes 0.246 of white.

    Args:
        exposure_stops: with which 1 becomes white at the top of the screen's range.
    """
    white = 2.0**-exposure_stops
    factor = torch.exp2(stops)
    changed = (radiance * factor + DARKEST * white * (factor - 1)).clamp(0, white)
    return torch.where(radiance > white, radiance * (changed / white), changed)


@torch.no_grad()
def light(
    panorama: Float[Tensor, "height width 3"],
    stops: Float[Tensor, "rows columns 3"],
    exposure_stops: float,
    strength: float | int = 1.0,
    above: int = 0,
    rows: int | None = None,
) -> None:
    """Change a panorama of any size in place (`lit`), some rows at a time; strength 0 changes no bit.

    Args:
        above, rows: what is given is a part of a panorama of so many rows, below so many others.
    """
    if strength == 0:
        return
    some = max(1, _AT_ONCE // panorama.shape[1])
    for first in range(0, len(panorama), some):
        band = panorama[first : first + some]
        rays = directions(rows or len(panorama), panorama.shape[1], above + first, len(band))
        band.copy_(lit(band, strength * sample(stops, rays.to(band)), exposure_stops))


def total_variation(field: Float[Tensor, "rows width channels"]) -> Float[Tensor, ""]:
    """How much a field changes from place to place: the mean over the sphere of its slope per radian, along meridians
    and along parallels, averaged over channels. Left and right edge are neighbours.

    A half of the sphere, between two meridians, that differs by 1 from the other: two edges of length pi, over 4 pi,
    0.5.
    """
    rows, width = field.shape[:2]
    # A step along a parallel is shorter towards the poles by just as much as its pixels are narrower.
    around = (field - field.roll(1, dims=1)).abs().sum() * (math.pi / rows)
    edges = (torch.arange(1, rows, device=field.device) * (math.pi / rows)).sin().to(field)
    down = ((field[1:] - field[:-1]).abs() * edges[:, None, None]).sum() * (2 * math.pi / width)
    return (around + down) / (4 * math.pi * field.shape[2])


def mean_square(field: Float[Tensor, "rows width channels"]) -> Float[Tensor, ""]:
    """Over the sphere and all channels."""
    angles = solid_angles(*field.shape[:2]).to(field)
    return (field.square().mean(dim=2).sum(dim=1) * angles).sum() / (4 * math.pi)
