"""What an object looks like in a word or two: "grey", "red and white"; what people call it who do not know its name."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.offline.palette import NAMED
from fasttext2style.guidance.oklab import oklab_of
from fasttext2style.scene.gaussians import SH_C0, Gaussians

_HUES = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "magenta")
"""Names of `palette.NAMED`: the nearest by its hue in Oklab is what a colour is called."""
_GREYISH = 0.1
"""Chroma relative to lightness, below which a colour is black, grey or white."""
_BLACK, _WHITE = 0.35, 0.8
"""Lightness up to which that is black, and from which a quarter of it is where it is white."""
_BROWN = (0.68, 0.17)
"""An orange up to this lightness, or up to this chroma relative to it, is brown."""
_TWO = 0.25
"""Share of the second colour of an object that is called by two."""
_ENOUGH = 0.4
"""Share that the colours of a name have together; with less it is colorful."""
_MOST_LOOKED_AT = 20_000


@torch.no_grad()
def look_of(gaussians: Gaussians, weights: Float[Tensor, " gaussians"]) -> str:
    """The colour, or the two colours, that an object has most of, by its weights and opacities."""
    rows = (weights > 0).nonzero()[:, 0]
    rows = rows[:: -(-len(rows) // _MOST_LOOKED_AT) or 1]
    colors = 0.5 + SH_C0 * gaussians.sh_dc[rows]
    return name_of_colors(colors, weights[rows].to(colors) * gaussians.opacities[rows])


def name_of_colors(colors: Float[Tensor, "some 3"], shares: Float[Tensor, " some"]) -> str:
    """The same of sRGB colours, by hue: light and shade change it least."""
    lightness, a, b = oklab_of(colors).unbind(dim=-1)
    strength = torch.hypot(a, b) / lightness.clamp_min(1e-3)
    named = oklab_of(torch.tensor([NAMED[name] for name in _HUES]).to(colors) / 255)
    away = torch.atan2(b, a)[:, None] - torch.atan2(named[:, 2], named[:, 1])
    number = away.cos().argmax(dim=1) + 3  # behind the greys
    grey = (strength < _GREYISH) & (lightness > _BLACK)
    number[strength < _GREYISH] = 0
    # White in the shade is grey, and white all the same: of all greys together the lighter ones count.
    number[grey] = 2 if bool(grey.any()) and float(lightness[grey].quantile(0.75)) > _WHITE else 1
    words = ("black", "grey", "white", *_HUES, "brown")
    orange = number == words.index("orange")
    number[orange & ((lightness < _BROWN[0]) | (strength < _BROWN[1]))] = words.index("brown")
    counted = colors.new_zeros(len(words)).index_add_(0, number, shares.to(colors))
    counted = counted / counted.sum().clamp_min(1e-12)
    (first, most), (second, less), *_ = sorted(zip(words, counted.tolist()), key=lambda it: -it[1])
    if most + less < _ENOUGH:
        return "colorful"
    shade = {first, second} == {"black", "grey"}
    return f"{first} and {second}" if less >= _TWO and not shade else first
