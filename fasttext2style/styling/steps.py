"""One training step of an object: gate, gradients, optimizers, densification, in the order that they need.

A loop of our own takes whole steps::

    steps = ObjectSteps(edit, optimizers, growth, styler.re_anchor)
    for number in range(200):
        losses, info = styler.losses()
        steps.take(losses, info, number)
    steps.close()

A host that calls backward and the optimizers itself puts `begin(info)` between losses and backward, and `end(number)`
after the optimizers' step.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.gate import UpdateGate

logger = logging.getLogger(__name__)

MakeOptimizers = Callable[[Mapping[str, nn.Parameter], float, float], dict[str, torch.optim.Optimizer]]
"""(parameters by group, color rate, geometry rate) -> an optimizer for each group, whoever configures them.

The rates are shares of the usual learning rates: of the colors' (features_dc, features_rest), and of all others'.
"""


@runtime_checkable
class Growth(Protocol):
    """What adds and removes Gaussians between steps."""

    def before_backward(self, info: dict[str, Any]) -> None:
        """Between the losses of a step and their gradients; `info` is the rasterizer's."""
        ...

    def after_step(self, step: int) -> bool:
        """After the optimizers' step; tells whether Gaussians were added or removed."""
        ...


T = TypeVar("T")


def with_enough_memory(
    step: Callable[[], T], optimizers: Iterable[torch.optim.Optimizer], halve: Callable[[], int]
) -> T:
    """A step; where the GPU's memory does not suffice for it, again and from then on with half as many views.

    Args:
        step: render, loss, gradients, optimizers; called again after it has failed.
        optimizers: their gradients are dropped before it is.
        halve: takes half as many views from now on, and tells how many they were; 1 cannot be halved.

    Raises:
        ValueError: not even one view fits.
    """
    while True:
        try:
            return step()
        except torch.cuda.OutOfMemoryError:
            pass  # Nothing is freed here: the exception still holds the frames that hold the tensors.
        for optimizer in optimizers:
            optimizer.zero_grad()
        torch.cuda.empty_cache()
        views = halve()
        if views <= 1:
            raise ValueError(
                "The GPU's memory does not suffice for a training step on one view. Choose a smaller object, scale the "
                "views (--pipeline.datamanager.max-image-size 800), or free memory that other programs hold."
            )
        logger.warning("Out of GPU memory with %d views a step; going on with %d", views, views // 2)


class TrainingDiverged(ValueError):
    """The loss is no longer a finite number."""


class ObjectSteps:
    """Changes an object step by step; rows with a weight below 1 are held back by an `UpdateGate`.

    Args:
        edit: the object.
        optimizers: of its parameters, by name.
        growth: densification; it may be replaced between steps.
        on_grown: called after Gaussians were added or removed, before the next losses.

    Raises:
        TrainingDiverged: from `take`, before anything is changed.
    """

    def __init__(
        self,
        edit: EditableObject,
        optimizers: Mapping[str, torch.optim.Optimizer],
        growth: Growth | None = None,
        on_grown: Callable[[], object] = lambda: None,
    ) -> None:
        self.growth, self._optimizers, self._on_grown = growth, optimizers, on_grown
        self._gate = UpdateGate()
        # Asked for at every step: densification changes their number.
        self._gate.attach(optimizers, lambda: edit.weights)

    def begin(self, info: dict[str, Any]) -> None:
        """Between the losses of a step and their gradients."""
        if self.growth is not None:
            self.growth.before_backward(info)

    def end(self, step: int) -> None:
        """After the optimizers' step number `step`, counted from 0."""
        if self.growth is not None and self.growth.after_step(step):
            self._on_grown()

    def take(self, losses: Mapping[str, Tensor], info: dict[str, Any], step: int) -> float:
        """A whole step, number `step` counted from 0, down the sum of the losses; returns that sum.

        Raises:
            TrainingDiverged: the sum is not finite; nothing has changed then.
        """
        loss = torch.stack(list(losses.values())).sum()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingDiverged(f"The training diverged at step {step + 1} (loss {value}).")
        self.begin(info)
        loss.backward()
        for optimizer in self._optimizers.values():
            optimizer.step()
        # Here and not before backward: the next render need not share its memory with old gradients.
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()
        self.end(step)
        return value

    def close(self) -> None:
        """No more steps: the optimizers are as they were without a gate, and what only steps need is let go."""
        self._gate.detach()
        self._optimizers, self.growth = {}, None
