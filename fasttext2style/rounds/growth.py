"""Densification in rounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig, ObjectGrowth


class RoundGrowth:
    """Densification in the modes that grow, but for refinement; every round counts its gradients anew.

    Args:
        config: how fast, and to which multiple of the object as it was before any round.
        rounds: whose steps these are.
        edit: the object; in the rasterizer's info its Gaussians come first.
        optimizers: of its parameters.
    """

    def __init__(
        self,
        config: GrowthConfig,
        rounds: EditRounds,
        edit: EditableObject,
        optimizers: dict[str, torch.optim.Optimizer],
    ) -> None:
        self._config, self._rounds = replace(config, enabled=True), rounds
        self._edit, self._optimizers = edit, optimizers
        self._growth: ObjectGrowth | None = None
        self._round = 0

    def before_backward(self, info: dict[str, Any]) -> None:
        """Between the losses of a step and their gradients."""
        rounds = self._rounds
        if not rounds.mode.grows or rounds.refines:
            self._growth = None
            return
        if self._growth is None or self._round != rounds.round:
            self._round = rounds.round
            self._growth = ObjectGrowth(
                self._config, self._edit, self._optimizers, rounds.training_steps, rounds.mode.prune_opacity
            )
        self._growth.before_backward(info)

    def after_step(self, step: int) -> bool:
        """After the optimizers' step number `step` of the round; tells whether Gaussians were added or removed."""
        return self._growth is not None and self._growth.after_step(step)
