"""Classifier-free guidance of several branches, and what keeps it from going too far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

ZERO_SNR_RESCALE = 0.7
"""Of networks that were trained down to pure noise (Lin et al. 2024, Common Diffusion Noise Schedules and Sample Steps
are Flawed, section 3.4): guided there without it, everything comes out too strong."""


def rescale_of(scheduler: Any) -> float:
    """How far guided predictions get back the deviation of the conditioned one; 0 with the usual schedule."""
    return ZERO_SNR_RESCALE if scheduler.config.get("rescale_betas_zero_snr") else 0.0


def guided(
    scales: Sequence[float], outputs: Sequence[Float[Tensor, "views channels h w"]], rescale: float = 0.0
) -> Float[Tensor, "views channels h w"]:
    """The sum of the branches, in fp32.

    Args:
        scales: of the branches; they add up to 1.
        outputs: the first one is conditioned on all there is.
        rescale: 0 leaves the sum as it is, 1 gives each view's the deviation that the first branch has.
    """
    branches = [output.float() for output in outputs]
    total = torch.stack([scale * output for scale, output in zip(scales, branches)]).sum(0)
    if not rescale or len(branches) == 1:
        return total
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

    return rescale_noise_cfg(total, branches[0], rescale)
