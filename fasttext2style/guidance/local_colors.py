"""Colours of a pattern where they belong: the dark ones where it is dark, the light ones where it is light.

A palette says which colours an object has and how much of each, not where. A loss on how much there is of each can be
met by halves: a leopard with a black belly and a yellow back. Here every place is given one colour, by how dark it is
beside its own surroundings: the darkest places of the object take the darkest colour until its share is used up, and
so on (optimal transport in one dimension, whose plan is sorting). So each place of a pattern has all of them, and
shading, which is darkness over wide areas, does not choose.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fasttext2style.guidance.oklab import oklab

AROUND = 1 / 6
"""Width of a place's surroundings relative to the picture: wider than a stripe, narrower than a body's shading."""
LIGHTNESS = 0.3
"""Weight of lightness beside hue: shading stays."""
CONTRAST = 0.15
"""Weight of the contrast between a palette's colours, beside hue."""
SOLID = 0.5
"""Opacity from which on a pixel shows the object's own colour."""


class Palette(NamedTuple):
    """Colours and how much there is of each."""

    colors: Float[Tensor, "colors 3"]
    """Oklab."""
    shares: Float[Tensor, " colors"]
    """They sum to 1."""
    alone: bool = False
    """The text asks for nothing else: "a red bear" has no pattern."""


def local_colors(
    images: Float[Tensor, "views height width 3"],
    alphas: Float[Tensor, "views height width 1"],
    palette: Palette,
) -> Float[Tensor, ""]:
    """Mean squared distance in Oklab of what is seen of an object to the colours that its places should have.

    Images show the object alone, premultiplied on black, in [0, 1]. 0 for an object that has them, and one that is
    nowhere solid.
    """
    solid = alphas > SOLID
    pixels = torch.where(solid, images / alphas.clamp(min=SOLID), 0.5).permute(0, 3, 1, 2)
    seen = oklab(pixels)
    around = surroundings(seen[:, :1], solid.permute(0, 3, 1, 2).to(seen))
    lightness, around = seen[:, 0], around[:, 0]
    contrast = lightness - around
    # Masks and no lists of pixels: a GPU would be waited for to know how many there are.
    shown = solid[..., 0]
    wanted = placed(contrast.detach(), shown, palette)
    # What is darker than its colour lies in the shade, and is less vivid there.
    shade = (lightness.detach() / wanted[..., 0].clamp(min=1e-3)).clamp(max=1)
    loss = (seen[:, 1:].permute(0, 2, 3, 1) - shade[..., None] * wanted[..., 1:]).square().sum(-1)
    mean = palette.shares @ palette.colors[:, 0]
    loss = loss + LIGHTNESS * (around - mean).square()
    if len(palette.shares) > 1:
        loss = loss + CONTRAST * (contrast - (wanted[..., 0] - mean)).square()
    return (loss * shown).sum() / shown.sum().clamp(min=1)


def placed(
    contrast: Float[Tensor, "views height width"], shown: Bool[Tensor, "views height width"], palette: Palette
) -> Float[Tensor, "views height width 3"]:
    """Each pixel's colour: the darkest that are shown have the darkest, as many of them as its share says."""
    order = palette.colors[:, 0].argsort()
    ends = palette.shares[order].cumsum(0)
    rank = contrast.masked_fill(~shown, torch.inf).flatten().argsort(stable=True).argsort()
    quantile = (rank + 0.5) / shown.sum().clamp(min=1)
    which = torch.bucketize(quantile, ends[:-1].contiguous()).view(contrast.shape)
    return palette.colors[order][which]


def surroundings(
    values: Float[Tensor, "views 1 height width"], weight: Float[Tensor, "views 1 height width"]
) -> Float[Tensor, "views 1 height width"]:
    """Weighted mean around each pixel: of a tent, about `AROUND` of the picture wide at half its height."""
    size = values.shape[-2:]
    cell = max(1, round(AROUND * size[1] / 5))

    def blurred(picture: Tensor) -> Tensor:
        # Of cells: windows as wide as that cost more than the network.
        picture = functional.avg_pool2d(picture, cell, ceil_mode=True, count_include_pad=False)
        for _ in range(2):
            picture = functional.avg_pool2d(picture, 5, 1, 2)
        return functional.interpolate(picture, size, mode="bilinear", align_corners=False)

    return blurred(values * weight) / blurred(weight).clamp(min=1e-6)
