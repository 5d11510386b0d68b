"""Noise of an edit: how much, on which schedule, and the same in every view or not."""

from __future__ import annotations

import difflib
import inspect
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editors.editor import EditRequest

SCHEDULERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "SASolverScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)
"""Those of diffusers for latent diffusion that can start in the middle of their schedule: given perfect predictions
they land on the image. LMSDiscreteScheduler (error 0.3 of 1) and PNDMScheduler (0.13) do not."""


def check_scheduler(class_name: str) -> None:
    """Raises ValueError for a name that is not one of SCHEDULERS; says which name is near."""
    if class_name not in SCHEDULERS:
        near = difflib.get_close_matches(class_name, SCHEDULERS, n=1, cutoff=0.6)
        raise ValueError(
            f"{class_name!r} is no scheduler that can start from a part of its noise. "
            + (f"Did you mean {near[0]}? " if near else "")
            + f"There are {', '.join(SCHEDULERS)}"
        )


def make_scheduler(class_name: str, config: Any) -> Any:
    """A scheduler of diffusers by its class name, with a model's own noise schedule.

    Spacing is "trailing" where the class knows it: with "leading", Stable Diffusion's default, a partial denoising
    starts at another level than asked for and leaves noise at its end (0.12 of 1 for DDIM). Samples are never
    clipped: latents are no images.

    Raises:
        ValueError: not one of SCHEDULERS.
    """
    import diffusers

    check_scheduler(class_name)
    scheduler_class = getattr(diffusers, class_name)
    wanted = {"timestep_spacing": "trailing", "clip_sample": False}
    known = inspect.signature(scheduler_class.__init__).parameters
    return scheduler_class.from_config(config, **{key: value for key, value in wanted.items() if key in known})


def partial_timesteps(
    scheduler: Any, steps: int, strength: float, device: torch.device | str
) -> Float[Tensor, " evaluations"]:
    """Timesteps of `steps` denoising steps that start at about the share `strength` of the schedule, never above it.

    The tail of a longer schedule, so that it works with every scheduler: 20 steps from 0.7 are the last 20 of 29 and
    start at 20/29 = 0.69. Solvers of second order evaluate twice per step.
    """
    # 1e-6: 20 / 0.8 must not become 26 by rounding.
    total = math.ceil(steps / strength - 1e-6)
    if hasattr(scheduler, "alphas_cumprod"):
        # An edit before this one may have moved them to its GPU, and some schedulers reckon with numpy here.
        scheduler.alphas_cumprod = scheduler.alphas_cumprod.cpu()
    scheduler.set_timesteps(total, device=device)
    first = (total - steps) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    return scheduler.timesteps[first:].float()


def draw_strength(request: EditRequest) -> float:
    """One noise level from the request's interval, the same for all its views and in every batch of them."""
    low, high = request.strength
    generator = torch.Generator().manual_seed(request.seed)
    return low + (high - low) * float(torch.rand((), generator=generator))


def noise_generators(request: EditRequest) -> list[torch.Generator]:
    """One generator per view, on the CPU so that all devices draw the same.

    With shared noise all have one seed. Otherwise a view's seed follows from its id, not from its place in a batch.
    """
    # Seeds of nearby runs and views must not meet: 2**20 views each. A seed may have 63 bits, as a generator's does.
    ids = [0 if request.shared_noise else 1 + view_id for view_id in request.view_ids]
    return [torch.Generator().manual_seed((request.seed * 2**20 + view_id) % 2**63) for view_id in ids]
