"""Oklab (Ottosson 2020): colours as lightness, green to red, blue to yellow; distances are nearly those we see."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


def oklab(images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views 3 height width"]:
    """sRGB in [0, 1] to Oklab: white is (1, 0, 0)."""
    images = images.clamp(0, 1)
    linear = torch.where(images <= 0.04045, images / 12.92, ((images.clamp(min=0.04) + 0.055) / 1.055) ** 2.4)
    to_cones, to_lab = _matrices(images.device)
    cones = torch.einsum("nchw,kc->nkhw", linear, to_cones)
    # The slope of the cube root is infinite at black.
    roots = (cones + 1e-4) ** (1 / 3)
    return torch.einsum("nchw,kc->nkhw", roots, to_lab)


def oklab_of(colors: Float[Tensor, "colors 3"]) -> Float[Tensor, "colors 3"]:
    """As `oklab`, of a list of colours."""
    return oklab(colors[:, :, None, None])[..., 0, 0]


@lru_cache(maxsize=8)
def _matrices(device: torch.device) -> tuple[Tensor, Tensor]:
    """Made once: a GPU would be waited for each time."""
    with torch.inference_mode(False):
        return torch.tensor(_TO_CONES, device=device), torch.tensor(_TO_LAB, device=device)


_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
