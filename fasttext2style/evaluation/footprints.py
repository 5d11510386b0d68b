"""Whether every Gaussian shows the same colour in all views that see it (instruct-gs, "3D consistency")."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions

_SEEN = 0.05
"""Pixels' worth of contribution from which a view counts as seeing a Gaussian."""


def footprint_deviation(
    gaussians: Gaussians,
    cameras: Cameras,
    images: Float[Tensor, "views height width 3"],
    rows: Bool[Tensor, " gaussians"],
) -> float:
    """Standard deviation over views of the colour under a Gaussian's footprint, in sRGB units.

    The colour of a Gaussian in a view is the mean of the image weighted by what the Gaussian contributes to each pixel.
    The variance over views, averaged over channels, over all chosen Gaussians that two views see, weighted by
    visibility, under a root. A picture of one colour in all views gives 0; half the views black and half white, 0.5.
    Renders of a scene vary by their spherical harmonics and by neighbours; 2D edits vary by the editor's disagreement.
    NaN if no Gaussian is seen by two views.
    """
    weight = torch.zeros(len(gaussians), dtype=torch.float64, device=gaussians.device)
    total, squares = weight.new_zeros(len(gaussians), 3), weight.new_zeros(len(gaussians), 3)
    times_seen = torch.zeros(len(gaussians), dtype=torch.long, device=gaussians.device)
    for view in range(len(cameras)):
        layers = torch.cat([images[view], torch.ones_like(images[view, ..., :1])], dim=-1)
        sums = contributions(gaussians, cameras[view], layers[None]).double()
        seen = sums[:, 3] > _SEEN
        weights = sums[:, 3:] * seen[:, None]
        colors = sums[:, :3] / sums[:, 3:].clamp_min(_SEEN)
        weight, times_seen = weight + weights[:, 0], times_seen + seen
        total, squares = total + weights * colors, squares + weights * colors.square()
    chosen = rows & (times_seen >= 2)
    weight, total, squares = weight[chosen], total[chosen], squares[chosen]
    # weight * variance = sum w c^2 - (sum w c)^2 / weight; rounding may leave it a little below zero.
    spread = (squares - total.square() / weight[:, None]).mean(-1).clamp_min(0)
    return float((spread.sum() / weight.sum()).sqrt())
