"""One epoch of reinforcement: DDPO (Black et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.learning import Judge, add_gradients, sampled_edits
from fasttext2style.editor_training.policy import EditorPolicy, Rollouts, derived_seed
from fasttext2style.editor_training.ppo import PromptStatistics, clipped_surrogate, group_advantages, place_advantages
from fasttext2style.editor_training.settings import LearningConfig
from fasttext2style.editor_training.transitions import divergence, log_prob
from fasttext2style.editors.diffusion.lora import without_lora


@dataclass
class PpoLearner:
    """DDPO: sample, judge, and make better samples likelier."""

    policy: EditorPolicy
    cases: EditCases
    judge: Judge
    config: LearningConfig
    optimizer: torch.optim.Optimizer
    batches: Batches
    seed: int
    statistics: PromptStatistics = field(default_factory=PromptStatistics)

    def __post_init__(self) -> None:
        if self.config.credit == "place":
            self.judge.reward.check_places()

    def epoch(self, number: int) -> dict[str, Any]:
        sampled, rows = self._draw(number)
        seeds = [derived_seed(self.seed, number, place) for place in range(len(sampled))]
        groups = [derived_seed(self.seed, number, row) for row in rows]
        rollouts, parts = sampled_edits(self.policy, sampled, self.judge, seeds, groups, self.batches)
        rewards = self.judge.reward.total(parts)
        advantages = self._advantages(rewards, sampled, rollouts)
        learnt = self._learn(sampled, rollouts, advantages, number)
        by_group = rewards.view(-1, self.config.samples)
        return {
            "reward": float(rewards.mean()),
            "parts": {name: float(values.mean()) for name, values in parts.items()},
            "spread_in_groups": float(by_group.std(dim=1, correction=0).mean()),
            **learnt,
        }

    def state(self) -> dict[str, Any]:
        return {"rewards": self.statistics.rewards}

    def load_state(self, state: dict[str, Any]) -> None:
        self.statistics.rewards = state["rewards"]

    def _draw(self, number: int) -> tuple[EditCases, list[int]]:
        """The epoch's pictures, each as often as it is sampled: all once before any comes again."""
        rows: list[int] = []
        for place in range(number * self.config.groups, (number + 1) * self.config.groups):
            lap, within = divmod(place, len(self.cases))
            generator = torch.Generator().manual_seed(derived_seed(self.seed, lap))
            rows += [int(torch.randperm(len(self.cases), generator=generator)[within])] * self.config.samples
        return self.cases.select(rows), rows

    def _advantages(
        self, rewards: Float[Tensor, " samples"], cases: EditCases, rollouts: Rollouts
    ) -> Float[Tensor, "samples ..."]:
        """One per sample, or one per sample and place."""
        samples, least = self.config.samples, self.config.least_spread
        if self.config.credit == "place":
            edits = self.judge.edits(cases, rollouts.edited, None)
            places = self.judge.reward.by_place(edits, *rollouts.states.shape[-2:])
            return place_advantages(places.unflatten(0, (-1, samples)), least).flatten(0, 1)
        if self.config.advantages == "prompt":
            return self.statistics.advantages(rewards, list(cases.instructions))
        return group_advantages(rewards.view(-1, samples), least).flatten()

    def _learn(
        self, cases: EditCases, rollouts: Rollouts, advantages: Float[Tensor, "samples ..."], number: int
    ) -> dict[str, Any]:
        telling = advantages.view(len(advantages), -1).any(1).nonzero()[:, 0]
        facts = {"samples_used": len(telling), "kl": 0.0, "gradient_norm": 0.0, "clipped": 0.0}
        if not len(telling):
            return facts
        updates = 0
        for lap in range(self.config.passes):
            generator = torch.Generator().manual_seed(derived_seed(self.seed, number, lap, 2))
            order = telling[torch.randperm(len(telling), generator=generator)]
            for rows in order.chunk(min(self.config.updates, len(order))):
                self.optimizer.zero_grad(set_to_none=True)
                for moved, clipped in self.batches.each(
                    rows.tolist(),
                    partial(
                        self._accumulate,
                        total=len(rows),
                        cases=cases,
                        rollouts=rollouts,
                        advantages=advantages,
                    ),
                ):
                    facts["kl"] += moved
                    facts["clipped"] += clipped
                facts["gradient_norm"] += self.batches.step(self.optimizer, self.config.gradient_norm)
                updates += 1
        return facts | {name: facts[name] / updates for name in ("kl", "clipped", "gradient_norm")}

    def _accumulate(
        self,
        some: list[int],
        total: int,
        cases: EditCases,
        rollouts: Rollouts,
        advantages: Float[Tensor, "samples ..."],
    ) -> tuple[float, float]:
        """Add the gradient of some of `total` samples; returns their shares of the mean divergence and clipping."""
        told, parameters = self.policy.conditions(cases.select(some)), self.policy.parameters
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        moved = clipped = 0.0
        for place, index in enumerate(rollouts.steps):
            states, actions = rollouts.states[some, place], rollouts.actions[some, place]
            step, old = self.policy.step(told, states, index), rollouts.log_probs[some, place]
            log_probs, clip = log_prob(actions, step), self.config.clip
            if advantages.ndim > 1:
                # The mean over so many places wanders less than one of them, by the root of their number.
                clip *= old[0].numel() ** 0.5
            else:
                log_probs, old = log_probs.mean((1, 2)), old.mean((1, 2))
            surrogate = clipped_surrogate(log_probs, old, advantages[some].to(old), clip)
            loss = surrogate.view(len(some), -1).mean(1)
            if self.config.kl_weight:
                with torch.no_grad(), without_lora(self.policy.unet):
                    reference = self.policy.step(told, states, index)
                held = told.masks if self.config.leash == "object" else None
                loss = loss + self.config.kl_weight * divergence(step, reference, held)
            share = 1 / (total * len(rollouts.steps))
            found = torch.autograd.grad(loss.sum() * share, parameters)
            gradients = [gradient + more for gradient, more in zip(gradients, found)]
            ratio = (log_probs.detach() - old).exp()
            moved += float((old - log_probs.detach()).view(len(some), -1).mean(1).sum()) * share
            clipped += float(((ratio - 1).abs() > clip).view(len(some), -1).float().mean(1).sum()) * share
        # At the end, so that a batch that runs out of memory on the way has added nothing.
        add_gradients(parameters, gradients)
        return moved, clipped
