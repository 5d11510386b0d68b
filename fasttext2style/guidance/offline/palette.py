"""Which colours a picture has, as a unit vector: the root of a soft histogram over named colours, centred.

Before it is centred, the cosine of two of these is the Bhattacharyya coefficient of the palettes. Every place votes
once, so that no bright speck outvotes the rest; colours are compared in Oklab (Ottosson 2020), where distances are
nearly those we see.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fasttext2style.guidance.offline.sentences import COLOURS, SHADES
from fasttext2style.guidance.oklab import oklab

NAMED: dict[str, tuple[int, int, int]] = {
    "black": (12, 12, 12),
    "dark grey": (64, 64, 64),
    "grey": (128, 128, 128),
    "light grey": (190, 190, 190),
    "white": (245, 245, 245),
    "dark red": (105, 12, 15),
    "red": (215, 22, 22),
    "salmon": (245, 130, 110),
    "pale pink": (250, 200, 205),
    "pink": (245, 125, 180),
    "magenta": (205, 20, 140),
    "dark brown": (62, 36, 20),
    "brown": (115, 68, 34),
    "tan": (180, 135, 85),
    "beige": (225, 200, 160),
    "cream": (250, 240, 215),
    "rust": (160, 75, 30),
    "orange": (242, 125, 18),
    "amber": (225, 165, 40),
    "yellow": (250, 228, 30),
    "pale yellow": (252, 240, 150),
    "olive": (110, 110, 35),
    "dark green": (18, 70, 26),
    "green": (34, 150, 45),
    "light green": (145, 215, 110),
    "teal": (15, 110, 110),
    "turquoise": (35, 200, 200),
    "pale blue": (175, 220, 245),
    "sky blue": (80, 160, 235),
    "blue": (25, 50, 220),
    "navy": (15, 25, 85),
    "purple": (120, 30, 165),
    "lavender": (190, 165, 230),
}
"""The bins: sRGB of 0 to 255."""

SPREADS = (0.05, 0.2)
"""Standard deviations in Oklab of the bins: neighbouring ones are about 0.1 apart, grey and red 0.25. The narrow ones
tell colours apart, the wide ones let grey feel where red lies."""

SIDES = (32, 8)
"""Places along a picture's sides that vote: fine ones, and coarse ones that see the mean of what is speckled."""


def palette_of(images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views palette"]:
    """Unit directions of the soft histograms of images in [0, 1]; differentiable to every pixel."""
    return direction(shares_of(images))


def shares_of(images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views palette"]:
    """Soft histograms, averaged over fine and coarse places."""
    shares = [votes(functional.adaptive_avg_pool2d(images, side)).mean((2, 3)) for side in SIDES]
    return torch.stack(shares).mean(0)


def direction(shares: Float[Tensor, "palettes palette"]) -> Float[Tensor, "palettes palette"]:
    """Unit direction of shares of colours: their roots, less what all colours have in common."""
    # The gradient of sqrt is infinite at 0.
    return functional.normalize((shares + 1e-6).sqrt() - _common(shares.device), dim=-1)


def votes(images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views palette height width"]:
    """For every place the share of each bin, for each of `SPREADS` in turn; they sum to the number of these."""
    bins = oklab(_named(images.device))
    seen = oklab(images)
    squares = (
        seen.square().sum(1, keepdim=True)
        - 2 * torch.einsum("nchw,kc->nkhw", seen, bins[..., 0, 0])
        + bins.square().sum(1)[None]
    )
    return torch.cat([(-squares / (2 * spread**2)).softmax(1) for spread in SPREADS], 1)


def pure(device: torch.device | str = "cpu") -> Float[Tensor, "colours palette"]:
    """Shares of pictures that are wholly of one named colour, in the order of `NAMED`."""
    return votes(_named(torch.device(device)))[..., 0, 0]


class Painted(NamedTuple):
    """Colours, and how much there is of each."""

    rgb: Float[Tensor, "colours 3"]
    """sRGB in [0, 1]."""
    shares: Float[Tensor, " colours"]
    """They sum to 1."""


def unmixed(shares: Float[Tensor, " palette"], least: float = 0.05, rounds: int = 60) -> Painted:
    """The named colours of which these votes are, by Richardson and Lucy's rounds: a bin's votes are also for its
    neighbours. Those below a share of `least` are left out."""
    blur = pure()[:, : len(NAMED)]
    seen = shares[: len(NAMED)].cpu() / shares[: len(NAMED)].sum().cpu()
    found = torch.full_like(seen, 1 / len(NAMED))
    for _ in range(rounds):
        found = found * (blur @ (seen / (found @ blur).clamp(min=1e-9)))
    some = found >= min(least, float(found.max()))
    return Painted(_named(found.device)[some][:, :, 0, 0], found[some] / found[some].sum())


def mixed(painted: Painted) -> Float[Tensor, " palette"]:
    """Votes for every bin that a picture of these colours gets."""
    return painted.shares @ votes(painted.rgb[:, :, None, None])[..., 0, 0]


def painted_in(colours: tuple[str, ...]) -> Painted:
    """As much of each of these words of colour, which may have a shade ("dark blue")."""
    bins = [_shaded(colour) for colour in colours]
    return Painted(torch.cat(bins), torch.cat([torch.full((len(rgb),), 1 / len(rgb) / len(bins)) for rgb in bins]))


def _shaded(colour: str) -> Float[Tensor, "colours 3"]:
    """sRGB of a word of colour with its shade."""
    shade, _, word = colour.rpartition(" ")
    rgb = torch.tensor([NAMED[name] for name in COLOURS[word]]).float() / 255
    factor = SHADES.get(shade, 1.0)
    return rgb * factor if factor < 1 else rgb + (1 - rgb) * (factor - 1)


def _named(device: torch.device) -> Float[Tensor, "colours 3 1 1"]:
    return torch.tensor(list(NAMED.values()), device=device).float().div(255)[:, :, None, None]


@lru_cache(maxsize=8)
def _common(device: torch.device) -> Float[Tensor, " palette"]:
    with torch.inference_mode(False):
        return pure(device).add(1e-6).sqrt().mean(0)
