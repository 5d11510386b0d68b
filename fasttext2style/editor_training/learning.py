"""What all ways of learning have in common: settings, a judge, sampling in batches, one step of the optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.policy import EditorPolicy, Rollouts
from fasttext2style.editor_training.rewards import Edits, Reward
from fasttext2style.guidance.encoder import TextImageEncoder


@dataclass
class LearningConfig:
    """How an editor learns. Defaults are those that learnt with the embedded editor; the paper's stand beside them."""

    groups: int = 4
    """Pictures with an instruction that are sampled in an epoch."""
    samples: int = 8
    """Edits sampled of each. The paper's batch is 8 in all."""
    updates: int = 2
    """Optimizer steps of an epoch."""
    passes: int = 1
    """How often an epoch's samples are used."""
    learning_rate: float = 0.0
    """Of AdamW. 0 chooses: 1e-3 for the embedded editor, 2e-4 for others (the paper)."""
    clip: float = 1e-3
    """How far a step's probability ratio may leave 1 before its gradient stops. DDPO takes 1e-4: with it the embedded
    editor learns a third as fast."""
    gradient_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    advantages: Literal["group", "prompt"] = "group"
    """Against what a reward is good. "group": the other samples of the same picture and instruction (GRPO). "prompt":
    the last rewards of the same instruction on any picture (DDPO, and the paper)."""
    least_spread: float = 0.0
    """Groups whose rewards spread no more than this are left out."""
    kl_weight: float = 0.0
    """Leash to the editor as it was: weight of the divergence of each step from it."""
    draft_steps: int = 1
    """Of the method draft: through so many last steps the reward's gradient goes."""

    def check(self) -> None:
        """Raises ValueError for numbers that nothing can learn from."""
        for name in ("groups", "updates", "passes", "draft_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"learning.{name} is 1 or more, got {getattr(self, name)}")
        if self.samples < 2:
            raise ValueError(f"Samples are compared with each other: learning.samples is 2 or more, got {self.samples}")
        for name in ("clip", "gradient_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"learning.{name} is above 0, got {getattr(self, name)}")
        for name in ("learning_rate", "least_spread", "kl_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"learning.{name} is 0 or more, got {getattr(self, name)}")


@runtime_checkable
class Learner(Protocol):
    """What the loop asks of a method."""

    def epoch(self, number: int) -> dict[str, Any]:
        """Learn once; returns what is to be remembered of it, with "reward" and "parts"."""
        ...

    def state(self) -> dict[str, Any]:
        """What passes from one epoch to the next besides weights and optimizer."""
        ...

    def load_state(self, state: dict[str, Any]) -> None: ...


@dataclass
class Judge:
    """A reward with all that it needs."""

    reward: Reward
    encoder: TextImageEncoder | None = None
    tau: float = 0.05

    @property
    def reads_attention(self) -> bool:
        return self.reward.asks_for("attention")

    def parts(self, cases: EditCases, edited: Tensor, attention: Tensor | None) -> dict[str, Tensor]:
        return self.reward.parts(
            Edits(cases.images, edited, cases.masks, cases.captions, attention, self.encoder, self.tau)
        )


def sampled_edits(
    policy: EditorPolicy,
    cases: EditCases,
    judge: Judge,
    seeds: Sequence[int],
    groups: Sequence[int] | None,
    batches: Batches,
    eta: float | None = None,
    reads_attention: bool = False,
) -> tuple[Rollouts, dict[str, Float[Tensor, " samples"]]]:
    """One edit per case, sampled in batches, and what the rewards make of them."""
    lots = batches.each(
        range(len(cases)),
        lambda some: policy.rollouts(
            cases.select(some),
            [seeds[row] for row in some],
            None if groups is None else [groups[row] for row in some],
            judge.reads_attention or reads_attention,
            eta,
        ),
    )
    attention = [lot.attention for lot in lots if lot.attention is not None]
    rollouts = Rollouts(
        *(torch.cat([getattr(lot, name) for lot in lots]) for name in ("edited", "states", "actions", "log_probs")),
        lots[0].steps,
        torch.cat(attention) if attention else None,
    )
    with torch.no_grad():
        return rollouts, judge.parts(cases, rollouts.edited, rollouts.attention)


def add_gradients(parameters: Sequence[torch.nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """To those that are there."""
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def clipped_step(optimizer: torch.optim.Optimizer, gradient_norm: float) -> Tensor:
    """Scale the gradients down, step, and return their norm before.

    Raises:
        ValueError: gradients that are no numbers; the weights are as they were.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, gradient_norm)
    if not bool(norm.isfinite()):
        raise ValueError(
            "The gradient is NaN or infinite: training diverged. Take a smaller learning rate, or --dtype fp32."
        )
    optimizer.step()
    return norm
