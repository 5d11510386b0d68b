"""One epoch by the gradient of a reward that has one: what reinforcement has to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.learning import Judge, add_gradients
from fasttext2style.editor_training.policy import EditorPolicy, Rollouts, derived_seed
from fasttext2style.editor_training.settings import LearningConfig


@dataclass
class DraftLearner:
    """DRaFT-K (Clark et al. 2023): the reward's own gradient, through the last steps. Only for rewards with one."""

    policy: EditorPolicy
    cases: EditCases
    judge: Judge
    config: LearningConfig
    optimizer: torch.optim.Optimizer
    batches: Batches
    seed: int

    def __post_init__(self) -> None:
        if not self.judge.reward.is_differentiable:
            raise ValueError(
                "The method draft needs the gradient of the reward, which attention and rewards of your own do not "
                "have: take --method ppo."
            )

    def epoch(self, number: int) -> dict[str, Any]:
        """As many samples as an epoch of PPO draws, each of another picture."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, number, 3))
        count = self.config.groups * self.config.samples
        rows = torch.randint(len(self.cases), (count,), generator=generator)
        facts: dict[str, Any] = {"reward": 0.0, "parts": {}, "gradient_norm": 0.0}
        chunks = torch.arange(count).chunk(min(self.config.updates, count))
        for places in chunks:
            self.optimizer.zero_grad(set_to_none=True)
            for share, parts in self.batches.each(
                places.tolist(),
                partial(self._accumulate, total=len(places), rows=rows, number=number),
            ):
                for name, value in parts.items():
                    facts["parts"][name] = facts["parts"].get(name, 0.0) + value * share / len(chunks)
            facts["gradient_norm"] += self.batches.step(self.optimizer, self.config.gradient_norm) / len(chunks)
        facts["reward"] = sum(self.judge.reward.weights[name] * value for name, value in facts["parts"].items())
        return facts

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing passes from one epoch to the next."""

    def _accumulate(self, some: list[int], total: int, rows: Tensor, number: int) -> tuple[float, dict[str, float]]:
        cases = self.cases.select(rows[some].tolist())
        conditions = self.policy.conditions(cases)
        with torch.no_grad():
            seeds = [derived_seed(self.seed, number, place, 4) for place in some]
            rollouts = self.policy.rollouts(cases, seeds)
        last = len(self.policy.scheduler.timesteps)
        first = max(self.policy.first, last - self.config.draft_steps)
        latents, drawn = _latents_before(rollouts, first), {index: row for row, index in enumerate(rollouts.steps)}
        for index in range(first, last):
            step = self.policy.step(conditions, latents, index)
            noise = 0.0
            if index in drawn:
                # The same noise as in the rollout: what is differentiated is the mean.
                noise = (rollouts.actions[:, drawn[index]] - step.mean).detach()
            latents = step.mean + noise
        edited = self.policy.editor.decode(latents, *cases.images.shape[1:3]).to(cases.images)
        parts = self.judge.parts(cases, edited, None)
        loss = -self.judge.reward.total(parts).sum() / total
        parameters = self.policy.parameters
        add_gradients(parameters, torch.autograd.grad(loss, parameters))
        return len(some) / total, {name: float(values.detach().mean()) for name, values in parts.items()}


def _latents_before(rollouts: Rollouts, index: int) -> Tensor:
    """Where the step at this place of the timesteps began."""
    if index in rollouts.steps:
        return rollouts.states[:, rollouts.steps.index(index)]
    return rollouts.actions[:, rollouts.steps.index(index - 1)]
