"""What all ways of learning have in common: settings, a judge, sampling in batches, gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.policy import EditorPolicy, Rollouts
from fasttext2style.editor_training.rewards import Edits, Reward
from fasttext2style.guidance.encoder import TextImageEncoder


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
        return self.reward.parts(self.edits(cases, edited, attention))

    def edits(self, cases: EditCases, edited: Tensor, attention: Tensor | None) -> Edits:
        return Edits(cases.images, edited, cases.masks, cases.captions, attention, self.encoder, self.tau)


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
        edited=torch.cat([lot.edited for lot in lots]),
        states=torch.cat([lot.states for lot in lots]),
        actions=torch.cat([lot.actions for lot in lots]),
        log_probs=torch.cat([lot.log_probs for lot in lots]),
        steps=lots[0].steps,
        attention=torch.cat(attention) if attention else None,
    )
    # By every process of all samples: then a reward that is no number stops all of them.
    with torch.no_grad():
        return rollouts, judge.parts(cases, rollouts.edited, rollouts.attention)


def add_gradients(parameters: Sequence[torch.nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """To those that are there."""
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
