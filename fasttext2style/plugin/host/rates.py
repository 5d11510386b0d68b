"""nerfstudio's optimizer settings, with other learning rates, and as optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from fasttext2style.styling.steps import MakeOptimizers


def rates_of_mode(optimizers: Mapping[str, Any], geometry_rate: float, color_rate: float = 1.0) -> dict[str, Any]:
    """Settings per group, with a share of the learning rates of colours, and of those of everything else."""
    changed = {}
    for name, entry in optimizers.items():
        optimizer = entry["optimizer"]
        rate = color_rate if name.startswith("features") else geometry_rate
        changed[name] = entry | {"optimizer": replace(optimizer, lr=optimizer.lr * rate)}
    return changed


def maker_of(optimizers: Mapping[str, Any]) -> MakeOptimizers:
    """Makes an optimizer for each parameter, by the settings of its group, without their schedulers."""

    def make(
        parameters: Mapping[str, nn.Parameter], color_rate: float, geometry_rate: float
    ) -> dict[str, torch.optim.Optimizer]:
        settings = rates_of_mode(optimizers, geometry_rate, color_rate)
        return {name: settings[name]["optimizer"].setup(params=[it]) for name, it in parameters.items()}

    return make
