"""Densification: inside an object, with a cap (the paper's future work, against blurs); and of whole scenes.

For an object gsplat's strategy runs on its parameters alone, so nothing outside can be cloned, split or pruned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy

from fasttext2style.styling.editable import EditableObject


@dataclass
class GrowthConfig:
    """Densification of the object; off by default."""

    enabled: bool = False
    """Clone and split the object's Gaussians where the style pulls hardest. Needs `means` among the trained groups and
    renders of the object alone."""
    every: int = 50
    """Steps between refinements; the last fifth of a run has none."""
    max_factor: float = 1.5
    """The object grows to at most this many times its Gaussians."""
    gradient_threshold: float = 0.0002
    """Mean screen-space gradient above which a Gaussian grows (gsplat's grow_grad2d)."""


class ObjectGrowth:
    """Runs the strategy around each step; `edit.parameters` and their optimizers change together."""

    def __init__(
        self, config: GrowthConfig, edit: EditableObject, optimizers: dict[str, torch.optim.Optimizer], steps: int
    ) -> None:
        self.config, self.edit, self.optimizers = config, edit, optimizers
        self.strategy = _CappedStrategy(
            prune_opa=0.005,
            grow_grad2d=config.gradient_threshold,
            refine_start_iter=1,
            refine_stop_iter=int(steps * 0.8),
            refine_every=config.every,
            # Never: a reset makes the whole object transparent for hundreds of steps.
            reset_every=10**9,
            absgrad=False,
        )
        self.strategy.cap = int(len(edit) * config.max_factor)
        extent = (edit.original.means - edit.original.means.mean(dim=0)).norm(dim=1).max()
        self.state: dict[str, Any] = self.strategy.initialize_state(scene_scale=float(extent))
        # gsplat's operations carry every tensor of the state along.
        self.state["weights"] = edit.weights
        self.info: dict[str, Any] = {}

    def before_backward(self, info: dict[str, Any]) -> None:
        if not self.config.enabled:
            return
        self.info = info
        self.strategy.step_pre_backward(self.edit.parameters, self.optimizers, self.state, 0, info)

    def after_step(self, step: int) -> bool:
        """Refine when it is time; tells whether Gaussians were added or removed."""
        if not self.config.enabled:
            return False
        before = self.edit.parameters["means"]
        # Counted from 1: gsplat resets opacities at every multiple of reset_every, and 0 is one.
        self.strategy.step_post_backward(self.edit.parameters, self.optimizers, self.state, step + 1, self.info)
        if self.edit.parameters["means"] is before:
            return False
        self.edit.mark_grown(self.state["weights"])
        return True


class _CappedStrategy(DefaultStrategy):
    """gsplat's default strategy that grows by at most what is left under a cap: the strongest gradients first."""

    cap: int = 0

    @torch.no_grad()
    def _grow_gs(self, params: Any, optimizers: Any, state: dict[str, Any], step: int) -> tuple[int, int]:
        room = max(0, self.cap - len(params["means"]))
        strength = state["grad2d"] / state["count"].clamp_min(1)
        keep = torch.zeros_like(strength, dtype=torch.bool)
        keep[strength.topk(min(room, len(strength))).indices] = True
        state["grad2d"] = torch.where(keep, state["grad2d"], torch.zeros_like(strength))
        return super()._grow_gs(params, optimizers, state, step)
