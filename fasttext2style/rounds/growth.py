"""Densification during one round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.styling.growth import GrowthConfig, ObjectGrowth


class RoundGrowth:
    """Densification during one round: counts gradients from its first step on, to a multiple of the original object."""

    def __init__(self, config: GrowthConfig, rounds: EditRounds, optimizers: dict[str, torch.optim.Optimizer]) -> None:
        self.rounds = rounds
        config = replace(config, enabled=rounds.mode.grows)
        self._growth = ObjectGrowth(config, rounds.edit, optimizers, rounds.plan.steps)
        self._growth.strategy.cap = int(len(rounds.edit.original) * config.max_factor)
        self._growth.strategy.prune_opa = rounds.mode.prune_opacity

    def before_backward(self, info: dict[str, Any]) -> None:
        """Between the losses of a step and their gradients; in `info` the object's Gaussians come first."""
        self._info = info
        if self.rounds.grows:
            self._growth.before_backward(info)

    def after_step(self, step: int) -> bool:
        """After the optimizers' step, before `end_step`; tells whether Gaussians were added or removed."""
        if not self.rounds.grows:
            return False
        self._growth.info = _of_object(self._info, len(self.rounds.edit))
        return self._growth.after_step(step)


def _of_object(info: dict[str, Any], count: int) -> dict[str, Any]:
    """The rasterizer's info for the first `count` Gaussians, with the gradients that backward left."""
    means2d = info["means2d"].detach()[:, :count].clone()
    means2d.grad = info["means2d"].grad[:, :count]
    return info | {"means2d": means2d, "radii": info["radii"][:, :count]}
