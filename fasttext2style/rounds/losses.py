"""How far renders are from the edited pictures inside the object's region, and what holds everything else in place.

Images are [views, height, width, 3], masks [views, height, width, 1] with 1 where the picture was edited.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.anchors import needle_penalty, opacity_anchor, position_anchor, scale_anchor
from fasttext2style.guidance.image_losses import LpipsContent
from fasttext2style.rounds.views import LEAST_CROP
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.trust.typed import OrPath

CHARBONNIER_EPSILON = 1e-3
"""In [0, 1] colours: a quarter of an 8-bit step, below which differences are noise."""

PerceptualLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class LossConfig:
    """What a training step minimises."""

    photometric: Literal["l1", "charbonnier"] = "l1"
    """Distance of colours to the edited picture inside the region. charbonnier is L1, smooth near 0."""
    photometric_weight: float = 1.0
    """Weight of it."""
    l2_weight: float = 0.0
    """Weight of the mean squared difference inside the region (FastText2ObjectStyle's L_RGB)."""
    lpips_weight: float = 1.0
    """Weight of LPIPS inside the region. The papers add it to L1 as it is; others give it up to 3 times as much."""
    lpips: Literal["auto", "on", "off"] = "auto"
    """"auto" leaves LPIPS out, and says so, when the weights of its network are not given, cached or reachable."""
    lpips_weights: Annotated[str, OrPath()] = ""
    """File with torchvision's squeezenet1_1 weights, for machines without a connection."""
    preservation_weight: float = 1.0
    """Weight of the L1 distance to the original renders outside the region; of a NeRF to the photographs."""
    consistency_weight: float = 0.1
    """Weight of the change of each Gaussian's view dependence: edited views that disagree would be stored there."""
    text_weight: float = 0.0
    """Weight of the text loss of `fasttext2style` beside the pictures; above 0 it loads --encoder."""

    def check(self) -> None:
        """Raises ValueError for weights that are negative or no numbers, or that leave nothing to train towards."""
        weights = {field.name: getattr(self, field.name) for field in fields(self) if field.name.endswith("_weight")}
        for name, weight in weights.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"losses.{name} must be 0 or more, got {weight}.")
        if not any(weights[f"{name}_weight"] for name in ("photometric", "l2", "lpips", "text")):
            raise ValueError(
                "All weights that draw the object towards the edited pictures are 0: set losses.photometric_weight "
                "(1 by default), or one of l2, lpips and text, above 0."
            )


def picture_losses(
    config: LossConfig,
    images: Float[Tensor, "views height width 3"],
    targets: Float[Tensor, "views height width 3"],
    originals: Float[Tensor, "views height width 3"],
    masks: Float[Tensor, "views height width 1"],
    perceptual: PerceptualLoss | None,
) -> dict[str, Float[Tensor, ""]]:
    """Weighted losses by name; means over the region, so that small objects count as much as large ones."""
    difference = images - targets
    pointwise = charbonnier(difference) if config.photometric == "charbonnier" else difference.abs()
    losses = {
        "photometric": config.photometric_weight * mean_inside(pointwise, masks),
        "preservation": config.preservation_weight * mean_inside((images - originals).abs(), 1 - masks),
    }
    if config.l2_weight:
        losses["l2"] = config.l2_weight * mean_inside(difference.square(), masks)
    if perceptual is not None:
        # The target stands in for everything outside, so only differences inside count.
        losses["lpips"] = config.lpips_weight * perceptual(targets + masks * difference, targets)
    return losses


def gaussian_losses(
    now: Gaussians, anchor: Gaussians, trained: tuple[str, ...], consistency_weight: float, geometry_weight: float
) -> dict[str, Float[Tensor, ""]]:
    """Weighted penalties on the parameters that train; `anchor` has the same rows."""
    losses = {}
    if "features_rest" in trained and consistency_weight:
        losses["consistency"] = consistency_weight * view_dependence_change(now.sh_rest, anchor.sh_rest)
    if geometry_weight and "scales" in trained:
        pair = (now.log_scales, anchor.log_scales)
        losses["scale_anchor"] = geometry_weight * (scale_anchor(*pair) + needle_penalty(*pair))
    if geometry_weight and "means" in trained:
        losses["position_anchor"] = geometry_weight * position_anchor(now.means, anchor.means, anchor.scales)
    if geometry_weight and "opacities" in trained:
        losses["opacity_anchor"] = geometry_weight * opacity_anchor(now.logit_opacities, anchor.logit_opacities)
    return losses


def charbonnier(difference: Tensor) -> Tensor:
    """sqrt(x^2 + epsilon^2) - epsilon: |x| with a round bottom, 0 at 0."""
    return (difference.square() + CHARBONNIER_EPSILON**2).sqrt() - CHARBONNIER_EPSILON


def mean_inside(
    values: Float[Tensor, "views height width channels"], masks: Float[Tensor, "views height width 1"]
) -> Float[Tensor, ""]:
    """Mean of values weighted by the masks, over all views and channels; 0 under empty masks."""
    return (values * masks).sum() / (masks.sum() * values.shape[-1]).clamp_min(1e-8)


def view_dependence_change(
    sh_rest: Float[Tensor, "gaussians rest 3"], original_sh_rest: Float[Tensor, "gaussians rest 3"]
) -> Float[Tensor, ""]:
    """Variance over all directions of the change of a Gaussian's colour beyond its mean, averaged over Gaussians.

    instruct-gs asks for coherent appearance across views; read as: the object keeps the view dependence that it had.
    The harmonics are orthonormal, so the variance over the sphere is the sum of their squared coefficients over 4 pi:
    one coefficient of one channel changed by 1, of one Gaussian, is 1 / (4 pi) / 3 = 0.0265.
    """
    if sh_rest.numel() == 0:
        return sh_rest.new_zeros(())
    return (sh_rest - original_sh_rest).square().sum(dim=1).mean() / (4 * math.pi)


def load_perceptual_loss(
    config: LossConfig, device: torch.device | str, patch: int = 0
) -> tuple[PerceptualLoss | None, str]:
    """LPIPS (SqueezeNet), or None if it is off, its weights are unavailable, or patches are trained on that are too
    small for it; then with a sentence for the user.

    Raises:
        ValueError: its weights are unavailable, but were asked for by `lpips="on"` or a file.
    """
    if config.lpips == "off" or config.lpips_weight == 0:
        return None, ""
    if 0 < patch < LEAST_CROP:
        return None, f"LPIPS is left out of the loss: it needs patches of {LEAST_CROP} pixels, here they have {patch}."
    try:
        return LpipsContent(config.lpips_weights, device), ""
    except ValueError as error:
        if config.lpips == "on" or config.lpips_weights:
            raise ValueError(
                "LPIPS was asked for (losses.lpips on), but the weights of its network, torchvision's squeezenet1_1, "
                "are unavailable. Give the file with losses.lpips-weights, or leave losses.lpips at auto."
            ) from error
        return None, (
            "LPIPS is left out of the loss: the weights of its network (torchvision's squeezenet1_1) are not on this "
            "machine and cannot be downloaded. Give the file with --pipeline.rounds.losses.lpips-weights."
        )
