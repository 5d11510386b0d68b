"""Densification inside an object, with a cap (the paper's future work, against blurs).

What grows is what 3D Gaussian Splatting (Kerbl et al. 2023, 5.2) grows, by gsplat's own operations on the object's
parameters alone, so nothing outside can be cloned, split or pruned. gsplat's DefaultStrategy knows no cap; its
MCMCStrategy has one, but moves every Gaussian by noise in every step, also those that a selection holds back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy.ops import duplicate, remove, split
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.guidance.constants import constant
from fasttext2style.styling.editable import EditableObject

SMALL = 0.01
"""Gaussians up to this share of the object's extent are cloned, larger ones split (gsplat's grow_scale3d)."""


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

    def check(self) -> None:
        """Raises ValueError for numbers out of range."""
        if self.every < 1:
            raise ValueError(f"growth.every counts steps, 1 or more, got {self.every}.")
        if not 1 <= self.max_factor < math.inf:
            raise ValueError(f"growth.max_factor must be 1 or more, got {self.max_factor}.")
        if not 0 <= self.gradient_threshold < math.inf:
            raise ValueError(f"growth.gradient_threshold must be 0 or more, got {self.gradient_threshold}.")


class ObjectGrowth:
    """Counts gradients at each step, refines now and then; `edit.parameters` and their optimizers change together.

    Args:
        config: how fast, and to which multiple of the object as it was at first.
        edit: the object; in the rasterizer's info its Gaussians come first.
        optimizers: of its parameters.
        steps: how many there will be.
        prune_opacity: Gaussians below this opacity go when the others grow.
    """

    def __init__(
        self,
        config: GrowthConfig,
        edit: EditableObject,
        optimizers: dict[str, torch.optim.Optimizer],
        steps: int,
        prune_opacity: float = 0.005,
    ) -> None:
        self._config, self._edit, self._optimizers = config, edit, optimizers
        self._last_step, self._prune_opacity = int(steps * 0.8), prune_opacity
        self._cap = int(len(edit.original) * config.max_factor)
        self._extent = float((edit.original.means - edit.original.means.mean(dim=0)).norm(dim=1).max())
        self._info: dict[str, Any] = {}
        # gsplat's operations carry every tensor of this along.
        self._state: dict[str, Any] = {"weights": edit.weights}
        self._forget()

    def before_backward(self, info: dict[str, Any]) -> None:
        """Between the losses of a step and their gradients."""
        if not self._config.enabled:
            return
        self._info = info
        info["means2d"].retain_grad()

    @torch.no_grad()
    def after_step(self, step: int) -> bool:
        """After the optimizers' step number `step`, counted from 0; tells whether Gaussians were added or removed."""
        done = step + 1
        if not self._config.enabled or done >= self._last_step:
            return False
        self._count()
        if done == 1 or done % self._config.every:
            return False
        changed = self._grow() + self._prune()
        self._forget()
        if changed:
            self._edit.mark_grown(self._state["weights"])
        return changed > 0

    def _forget(self) -> None:
        zeros = self._edit.weights.new_zeros(len(self._edit))
        self._state |= {"gradients": zeros, "times_seen": zeros.clone()}

    def _count(self) -> None:
        """Add up how hard the losses pull each Gaussian across the screen, which is 2 wide and high, in each view."""
        info, count = self._info, len(self._edit)
        gradients, seen = info["means2d"].grad[:, :count], info["radii"][:, :count] > 0
        to_screen = constant((info["width"], info["height"]), gradients) / 2 * info["n_cameras"]
        self._state["gradients"] += (gradients * to_screen).norm(dim=-1).sum(dim=0)
        self._state["times_seen"] += seen.sum(dim=0)

    def _grow(self) -> int:
        """Clone small Gaussians and split large ones: the hardest pulled first, as many as the cap leaves room for."""
        parameters = self._edit.parameters
        pull = self._state["gradients"] / self._state["times_seen"].clamp_min(1)
        grows = (pull > self._config.gradient_threshold) & _strongest(pull, self._cap - len(pull))
        small = parameters["scales"].exp().amax(dim=-1) <= SMALL * self._extent
        cloned, halved = grows & small, grows & ~small
        if bool(cloned.any()):
            duplicate(parameters, self._optimizers, self._state, cloned)
        if bool(halved.any()):
            # Clones come last, and are not split at once.
            halved = torch.cat([halved, halved.new_zeros(int(cloned.sum()))])
            split(parameters, self._optimizers, self._state, halved)
        return int(grows.sum())

    def _prune(self) -> int:
        faint = self._edit.parameters["opacities"][:, 0].sigmoid() < self._prune_opacity
        if bool(faint.any()):
            remove(self._edit.parameters, self._optimizers, self._state, faint)
        return int(faint.sum())


def _strongest(values: Float[Tensor, " gaussians"], count: int) -> Bool[Tensor, " gaussians"]:
    """The `count` largest."""
    chosen = torch.zeros_like(values, dtype=torch.bool)
    chosen[values.topk(min(max(count, 0), len(values))).indices] = True
    return chosen
