"""One denoising step as a Gaussian: mean and standard deviation of the next latents, from what a scheduler would do.

Notation as in diffusers: alpha_prod is the product of 1 - beta up to a timestep; eta scales the noise of DDIM (1: as
much as DDPM). Equal to the scheduler's own step, which draws mean + deviation * noise; the tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Latents = Float[Tensor, "samples channels h w"]

LEAST_DEVIATION = 1e-4
"""Steps that draw less noise count as deterministic: the last one always is. Their density would be a spike, and the
logarithm of it no number."""


class Transition(NamedTuple):
    """A Gaussian over the next latents, equally wide in all of them."""

    mean: Latents
    deviation: float

    @property
    def has_density(self) -> bool:
        return self.deviation > LEAST_DEVIATION


def transition(scheduler: Any, prediction: Latents, index: int, latents: Latents, eta: float = 1.0) -> Transition:
    """The step from `scheduler.timesteps[index]`, given the network's guided prediction, in fp32.

    Raises:
        ValueError: a scheduler whose steps have no density.
    """
    return DENSITIES[check_density(type(scheduler).__name__)](scheduler, prediction, index, latents, eta)


def check_density(scheduler: str) -> str:
    """The name itself; raises ValueError for schedulers whose steps are no Gaussians that we know."""
    if scheduler not in DENSITIES:
        raise ValueError(
            f"The steps of {scheduler} have no density that an editor could be tuned by: take one of "
            f"{', '.join(DENSITIES)}. The LoRA can be used with any scheduler afterwards."
        )
    return scheduler


def log_prob(latents: Latents, step: Transition) -> Float[Tensor, "samples h w"]:
    """Logarithm of the density at each place of the latents, as its mean over channels and not the sum.

    The mean over all places is DDPO's convention: its range of clipping (1e-4) means something only for the mean.
    Places are independent, so that each has a density of its own. Exactly at the mean with deviation 1 it is
    -log(2 pi) / 2 = -0.919.
    """
    deviation = latents.new_tensor(step.deviation)
    squared = ((latents - step.mean) / deviation).square()
    return (-squared / 2 - deviation.log() - 0.5 * torch.log(torch.tensor(2 * torch.pi))).mean(1)


def divergence(
    one: Transition, other: Transition, places: Float[Tensor, "samples 1 h w"] | None = None
) -> Float[Tensor, " samples"]:
    """KL(one || other) of two Gaussians of the same width, as the mean over latents: (difference / width)^2 / 2.

    `places` weighs them: 1 where it counts; None: everywhere. A sample without any such place is 0 apart.
    """
    apart = (((one.mean - other.mean) / one.deviation).square() / 2).mean(1, keepdim=True)
    weights = torch.ones_like(apart) if places is None else places
    return (apart * weights).flatten(1).sum(1) / weights.flatten(1).sum(1).clamp_min(1e-8)


def _ddim(scheduler: Any, prediction: Latents, index: int, latents: Latents, eta: float) -> Transition:
    """Song et al. 2021, equations 12 and 16."""
    timestep = int(scheduler.timesteps[index])
    previous = timestep - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    alpha_prod = scheduler.alphas_cumprod[timestep].item()
    alpha_prod_previous = scheduler.alphas_cumprod[previous].item() if previous >= 0 else _final(scheduler)
    clean, noise = _clean_and_noise(scheduler, prediction, latents, alpha_prod**0.5, (1 - alpha_prod) ** 0.5)
    variance = (1 - alpha_prod_previous) / (1 - alpha_prod) * (1 - alpha_prod / alpha_prod_previous)
    deviation = eta * max(variance, 0.0) ** 0.5
    towards = max(1 - alpha_prod_previous - deviation**2, 0.0) ** 0.5
    return Transition(alpha_prod_previous**0.5 * clean + towards * noise, deviation)


def _final(scheduler: Any) -> float:
    return float(scheduler.final_alpha_cumprod)


def _ddpm(scheduler: Any, prediction: Latents, index: int, latents: Latents, eta: float) -> Transition:
    """Ho et al. 2020, equations 6 and 7, with the smaller of the two variances ("fixed_small")."""
    timestep = int(scheduler.timesteps[index])
    last = index + 1 == len(scheduler.timesteps)
    alpha_prod = scheduler.alphas_cumprod[timestep].item()
    alpha_prod_previous = 1.0 if last else scheduler.alphas_cumprod[int(scheduler.timesteps[index + 1])].item()
    alpha = alpha_prod / alpha_prod_previous
    clean, _ = _clean_and_noise(scheduler, prediction, latents, alpha_prod**0.5, (1 - alpha_prod) ** 0.5)
    mean = (alpha_prod_previous**0.5 * (1 - alpha) * clean + alpha**0.5 * (1 - alpha_prod_previous) * latents) / (
        1 - alpha_prod
    )
    return Transition(mean, ((1 - alpha_prod_previous) / (1 - alpha_prod) * (1 - alpha)) ** 0.5)


def _euler_ancestral(scheduler: Any, prediction: Latents, index: int, latents: Latents, eta: float) -> Transition:
    """Karras et al. 2022, as in k-diffusion: latents are clean + sigma * noise."""
    sigma, sigma_next = (scheduler.sigmas[index + offset].item() for offset in (0, 1))
    scale = (sigma**2 + 1) ** 0.5
    clean, _ = _clean_and_noise(scheduler, prediction, latents / scale, 1 / scale, sigma / scale)
    up = (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5
    down = (sigma_next**2 - up**2) ** 0.5
    return Transition(latents + (latents - clean) / sigma * (down - sigma), up)


DENSITIES: dict[str, Callable[[Any, Latents, int, Latents, float], Transition]] = {
    "DDIMScheduler": _ddim,
    "DDPMScheduler": _ddpm,
    "EulerAncestralDiscreteScheduler": _euler_ancestral,
}
"""Of the schedulers that an editor may have, those whose steps are Gaussians. DDIM is one with eta > 0."""


def _clean_and_noise(
    scheduler: Any, prediction: Latents, latents: Latents, signal: float, noise_share: float
) -> tuple[Latents, Latents]:
    """What the prediction says of the latents signal * clean + noise_share * noise: both parts."""
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        return signal * latents - noise_share * prediction, signal * prediction + noise_share * latents
    if kind == "epsilon":
        return (latents - noise_share * prediction) / signal, prediction
    if kind == "sample":
        return prediction, (latents - signal * prediction) / noise_share
    raise ValueError(f"A model that predicts {kind!r} cannot be tuned; expected epsilon, v_prediction or sample.")
