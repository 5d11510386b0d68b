"""A pattern's lights and darks evened out: what one paints over should not show through, its light and shade should.

Light and shade scale a colour as a whole, so its chromaticity stays; what has another chromaticity is another paint. So
every colour is divided by the mean luma of those of its chromaticity, and gets that of the whole object. A pattern of
one chromaticity, such as black on white, cannot be told from shade, and stays.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.styling.grade_settings import LUMA

_CELLS = 16
"""Of red's and green's shares, each: what is nearer than a 15th is one paint."""
_BLACK = 0.02
"""Added to the sum of a colour's channels: near black there is no chromaticity."""
_LEAST_LUMA = 0.02
_MOST = 4.0
"""Factor by which a colour gets lighter or darker: eyes stay dark."""


@torch.no_grad()
def even_factors(
    gaussians: Gaussians, weights: Float[Tensor, " gaussians"], evenness: float
) -> Float[Tensor, " gaussians"]:
    """By what colours are multiplied, so that all chromaticities have one mean luma, that of the whole (by weight and
    opacity), or so much of that: 0 leaves all as it is. Of a red of luma 0.2 and a white of 0.8, as much of each, both
    get 0.5: 2.5 and 0.625.
    """
    shares = weights * gaussians.opacities
    colors = (0.5 + SH_C0 * gaussians.sh_dc).clamp(0, 1)
    luma = (colors @ colors.new_tensor(LUMA)).clamp_min(_LEAST_LUMA)
    places = (colors[:, :2] + _BLACK / 3) / (colors.sum(dim=1, keepdim=True) + _BLACK) * (_CELLS - 1)
    low = places.floor().clamp(0, _CELLS - 2)
    total, bright = (luma.new_zeros(_CELLS * _CELLS) for _ in range(2))
    corners = []
    for red, green in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corner = low + low.new_tensor([red, green])
        near = (1 - (places - corner).abs()).clamp_min(0).prod(dim=1)
        cell = (corner[:, 0] * _CELLS + corner[:, 1]).long()
        total.index_add_(0, cell, shares * near)
        bright.index_add_(0, cell, shares * near * luma)
        corners.append((cell, near))
    mean = bright.sum() / total.sum().clamp_min(1e-12)
    of_cells = torch.where(total > 0, bright / total.clamp_min(1e-12), mean)
    of_its_kind = torch.stack([near * of_cells[cell] for cell, near in corners]).sum(dim=0)
    return (mean / of_its_kind).clamp(1 / _MOST, _MOST) ** evenness
