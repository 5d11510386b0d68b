"""A plain supervised LoRA, the editor's own objective on pairs: to be compared with (the paper's row "MagicBrush").

Its reinforcement needs no targets, this does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fasttext2style.editor_training.batches import Batches
from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.learning import add_gradients
from fasttext2style.editor_training.policy import Conditions, EditorPolicy, derived_seed
from fasttext2style.editor_training.settings import LearningConfig

DROPPED = 0.05
"""Share of samples without the instruction, and without the picture, so that guidance goes on working (Brooks et al.
2023, section 3.2.1)."""


@dataclass
class SupervisedLearner:
    """Denoising of the targets; one epoch sees as many samples as one of reinforcement draws."""

    policy: EditorPolicy
    cases: EditCases
    config: LearningConfig
    optimizer: torch.optim.Optimizer
    batches: Batches
    seed: int

    def __post_init__(self) -> None:
        if self.cases.targets is None:
            raise ValueError("The method supervised learns from targets, and these cases have none: take --method ppo.")

    def epoch(self, number: int) -> dict[str, Any]:
        count = self.config.groups * self.config.samples
        generator = torch.Generator().manual_seed(derived_seed(self.seed, number, 5))
        rows = torch.randint(len(self.cases), (count,), generator=generator)
        chunks = torch.arange(count).chunk(min(self.config.updates, count))
        loss = norm = 0.0
        for places in chunks:
            self.optimizer.zero_grad(set_to_none=True)
            losses = self.batches.each(
                places.tolist(),
                partial(self._accumulate, total=len(places), rows=rows, number=number),
            )
            loss += sum(losses) / len(chunks)
            norm += self.batches.step(self.optimizer, self.config.gradient_norm) / len(chunks)
        return {"reward": -loss, "parts": {"denoising": loss}, "gradient_norm": norm}

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing passes from one epoch to the next."""

    def _accumulate(self, some: list[int], total: int, rows: Tensor, number: int) -> float:
        cases = self.cases.select(rows[some].tolist())
        conditions = self.policy.conditions(cases)
        assert cases.targets is not None, "checked when the learner is made"
        with torch.no_grad():
            clean = self.policy.editor.encode(cases.targets)
        lots = [self._loss(conditions.select([row]), clean[[row]], number, place) for row, place in enumerate(some)]
        loss = torch.stack(lots).sum() / total
        parameters = self.policy.parameters
        add_gradients(parameters, torch.autograd.grad(loss, parameters))
        return float(loss.detach())

    def _loss(self, conditions: Conditions, clean: Tensor, number: int, place: int) -> Tensor:
        """Of one sample; noise, noise level and what is dropped follow from its place."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, number, place, 6))
        policy, scheduler = self.policy, self.policy.scheduler
        timestep = int(torch.randint(scheduler.config.num_train_timesteps, (), generator=generator))
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        drops_text, drops_picture = (torch.rand(2, generator=generator) < DROPPED).tolist()
        alpha_prod = float(scheduler.alphas_cumprod[timestep])
        signal, share = alpha_prod**0.5, (1 - alpha_prod) ** 0.5
        wanted = {
            "epsilon": noise,
            "v_prediction": signal * noise - share * clean,
            "sample": clean,
        }[scheduler.config.prediction_type]
        bare = torch.zeros_like(conditions.bare) if drops_picture else conditions.bare
        inputs = torch.cat([signal * clean + share * noise, bare], dim=1).to(policy.dtype)
        texts = (conditions.negative if drops_text else conditions.texts).to(inputs)
        said = policy.unet(inputs, timestep, encoder_hidden_states=texts, return_dict=False)[0]
        return (said.float() - wanted).square().mean()
