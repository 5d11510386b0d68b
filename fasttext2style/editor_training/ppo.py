"""Proximal policy optimization as DDPO (Black et al. 2023) has it: no critic, advantages from rewards of like samples.

InstructRL4Pix speaks of a critic in its appendix and has none in its equations, which in turn lack the minimum and
use the reward where the advantage belongs (equation 9). Read here as DDPO, its base: equation 10, on advantages.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LARGEST_ADVANTAGE = 5.0
"""DDPO. A group of equals with one outlier would else move the policy by that one alone."""

REACH = 3
"""Side of the square of latents around a place that it is judged by."""


def clipped_surrogate(
    log_probs: Float[Tensor, "*actions"],
    old_log_probs: Float[Tensor, "*actions"],
    advantages: Float[Tensor, "*actions"],
    clip: float,
) -> Float[Tensor, "*actions"]:
    """What is minimised, per sample or place: -min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A) (PPO, equation 7).

    The sign is minus, for the paper minimises by gradient descent (equation 11) what it wants to be large (equation 8).
    By hand: ratio 1.2, clip 0.1: -1.1 for advantage 1, and 1.2 for advantage -1.
    """
    ratio = (log_probs - old_log_probs).exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def group_advantages(
    rewards: Float[Tensor, "groups samples"], least_spread: float = 0.0
) -> Float[Tensor, "groups samples"]:
    """How much better a sample is than the others of its group, in deviations of the group (GRPO, Shao et al. 2024).

    A group is one picture with one instruction. Groups whose rewards spread by no more than `least_spread` get 0: what
    they tell is noise, and their small deviation would make it loud. Rewards 1, 2, 3 give -1.22, 0, 1.22.
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    spread = centred.square().mean(dim=1, keepdim=True).sqrt()
    tells = spread > max(least_spread, 1e-8)
    return torch.where(tells, centred / spread.clamp_min(1e-8), 0.0).clamp(-LARGEST_ADVANTAGE, LARGEST_ADVANTAGE)


def place_advantages(
    rewards: Float[Tensor, "groups samples h w"], least_spread: float = 0.0
) -> Float[Tensor, "groups samples h w"]:
    """How much better a sample is than its group at and around each place, in deviations of the group.

    A step's density is a product over places, and a change of a pixel is a matter of the latents around it: what
    happens elsewhere is noise to them. So each place is judged by its surroundings (`REACH`), as PixelRL does (Furuta
    et al. 2019, reward map convolution), and the gradient has less variance; what a place does to others far away is
    not seen. With one place it is `group_advantages`.
    """
    around = F.avg_pool2d(rewards.flatten(0, 1)[:, None], REACH, 1, REACH // 2, count_include_pad=False)
    centred = around.view_as(rewards) - around.view_as(rewards).mean(dim=1, keepdim=True)
    spread = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    places = rewards[0, 0].numel()
    tells = spread * places > max(least_spread, 1e-8)
    return torch.where(tells, centred / spread.clamp_min(1e-12), 0.0).clamp(-LARGEST_ADVANTAGE, LARGEST_ADVANTAGE)


class PromptStatistics:
    """Advantages by the mean and spread of the last rewards of the same instruction (DDPO, section 4.3).

    An instruction with fewer than `least` rewards so far is measured by those of its batch. In the paper the memory
    (16) never fills: it has 10,000 instructions and 8 samples an epoch. Here instructions are few.
    """

    def __init__(self, memory: int = 64, least: int = 16) -> None:
        self.memory, self.least = memory, least
        self.rewards: dict[str, list[float]] = {}

    def advantages(self, rewards: Float[Tensor, " samples"], prompts: list[str]) -> Float[Tensor, " samples"]:
        """In the order of the samples; remembers their rewards."""
        for prompt, reward in zip(prompts, rewards.tolist()):
            self.rewards[prompt] = [*self.rewards.get(prompt, []), reward][-self.memory :]
        advantages = torch.empty_like(rewards)
        for row, prompt in enumerate(prompts):
            own = torch.tensor(self.rewards[prompt], dtype=rewards.dtype)
            compared = own if len(own) >= self.least else rewards
            advantages[row] = (rewards[row] - compared.mean()) / (compared.std(correction=0) + 1e-6)
        return advantages.clamp(-LARGEST_ADVANTAGE, LARGEST_ADVANTAGE)
