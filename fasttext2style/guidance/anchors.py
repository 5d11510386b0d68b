"""Penalties on Gaussians that stretch, swell, pop or wander: pure functions of current and original parameters.

Each is a mean over Gaussians, weighted by `weights` when given (a soft selection), and 0 for unchanged parameters.
The paper regularises renders only (3.2) and reports overstretched Gaussians where that is too weak (Fig. 3);
GaussianEditor anchors the parameters themselves.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def scale_anchor(
    log_scales: Float[Tensor, "gaussians 3"],
    original_log_scales: Float[Tensor, "gaussians 3"],
    weights: Float[Tensor, " gaussians"] | None = None,
) -> Float[Tensor, ""]:
    """Squared log ratio to the original scales, averaged over axes. One axis e times longer, of one Gaussian: 1/3."""
    return _weighted_mean((log_scales - original_log_scales).square().mean(-1), weights)


def needle_penalty(
    log_scales: Float[Tensor, "gaussians 3"],
    original_log_scales: Float[Tensor, "gaussians 3"],
    max_ratio: float = 5.0,
    weights: Float[Tensor, " gaussians"] | None = None,
) -> Float[Tensor, ""]:
    """Squared excess, in log, of the longest axis over the middle one, beyond `max_ratio` and beyond the original's.

    Discs are how splatting shows surfaces and cost nothing; needles are what overstretched Gaussians look like. Raises
    a ValueError when `max_ratio` is below 1.
    """
    if max_ratio < 1:
        raise ValueError(f"The longest axis is never shorter than the middle one: max_ratio is {max_ratio}, below 1.")
    excess = _log_elongation(log_scales) - _log_elongation(original_log_scales).clamp(min=math.log(max_ratio))
    return _weighted_mean(excess.clamp(min=0).square(), weights)


def opacity_anchor(
    logit_opacities: Float[Tensor, " gaussians"],
    original_logit_opacities: Float[Tensor, " gaussians"],
    weights: Float[Tensor, " gaussians"] | None = None,
) -> Float[Tensor, ""]:
    """Squared change of opacity itself, not of its logit: popping from 0 to 1 costs 1, 0.99 to 0.999 nearly nothing."""
    change = torch.sigmoid(logit_opacities) - torch.sigmoid(original_logit_opacities)
    return _weighted_mean(change.square(), weights)


def position_anchor(
    means: Float[Tensor, "gaussians 3"],
    original_means: Float[Tensor, "gaussians 3"],
    original_scales: Float[Tensor, "gaussians 3"],
    weights: Float[Tensor, " gaussians"] | None = None,
) -> Float[Tensor, ""]:
    """Squared distance to the original place, in units of the Gaussian's own longest standard deviation.

    So that it does not depend on the scene's unit: moving by one's own size costs 1. Scales are activated lengths.
    """
    sizes = original_scales.amax(-1).clamp(min=1e-8)
    return _weighted_mean((means - original_means).square().sum(-1) / sizes.square(), weights)


def _log_elongation(log_scales: Float[Tensor, "gaussians 3"]) -> Float[Tensor, " gaussians"]:
    _, middle, longest = log_scales.sort(-1).values.unbind(-1)
    return longest - middle


def _weighted_mean(
    values: Float[Tensor, " gaussians"], weights: Float[Tensor, " gaussians"] | None
) -> Float[Tensor, ""]:
    if weights is None:
        return values.mean()
    return (weights * values).sum() / weights.sum().clamp(min=1e-8)
