"""Confines optimizer steps to a selection: weight 0 changes no bit, a weight between 0 and 1 scales the update.

The update and not the gradient is scaled, for Adam divides the scale of gradients away: weights (1, 0.3, 0) on
gradients move parameters by (4.97, 4.97, 0) in 50 steps, on updates by (4.97, 1.50, 0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.hooks import RemovableHandle


class UpdateGate:
    """Step hooks on optimizers whose parameters have one row per Gaussian.

    Hooks on optimizers, not on parameters: densification replaces every Parameter by a new one, and hooks on the old
    one die with it. The weights are asked for at every step because densification changes their number::

        gate = UpdateGate()
        gate.attach(optimizers, lambda: strategy_state["edit_weights"])
        ...  # loss.backward(), optimizer.step(), strategy.step_post_backward(), as always
        gate.detach()

    Rows of weight 0 lose their gradient and their share of the optimizer's state (momentum would move them on, now or
    when they are selected later), and are put back after the step, so that neither weight decay nor an optimizer with
    other habits changes them.
    """

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []
        self._before: dict[Tensor, tuple[Tensor, Tensor]] = {}
        self._weights: tuple[Tensor, int] | None = None
        self._rows: tuple[Tensor, Tensor]

    def attach(
        self, optimizers: Mapping[str, torch.optim.Optimizer], weights: Callable[[], Float[Tensor, " gaussians"]]
    ) -> None:
        """Start gating. Attach after a checkpoint was loaded, for loading may build optimizers anew.

        Raises:
            ValueError: already attached.
        """
        if self._handles:
            raise ValueError("This gate is attached already; detach() it first, two gates on one optimizer would fight")

        def before_step(optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
            self._hold(optimizer, weights())

        def after_step(optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
            self._release(optimizer, weights())

        for optimizer in optimizers.values():
            self._handles.append(optimizer.register_step_pre_hook(before_step))
            self._handles.append(optimizer.register_step_post_hook(after_step))

    def detach(self) -> None:
        """Stop gating; the optimizers are as they were without a gate."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._before.clear()
        self._weights = None

    @torch.no_grad()
    def _hold(self, optimizer: torch.optim.Optimizer, weights: Float[Tensor, " gaussians"]) -> None:
        """Before a step: take gradient and momentum from rows of weight 0, remember all rows of weight below 1."""
        hard, soft = self._hard_and_soft_rows(weights)
        for parameter in _stepping_parameters(optimizer, len(weights)):
            assert parameter.grad is not None
            parameter.grad.index_fill_(0, hard, 0.0)
            for value in optimizer.state.get(parameter, {}).values():
                # exp_avg, exp_avg_sq, momentum_buffer ...; a step counter is a number, not rows.
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.index_fill_(0, hard, 0.0)
            self._before[parameter] = (parameter.index_select(0, hard), parameter.index_select(0, soft))

    @torch.no_grad()
    def _release(self, optimizer: torch.optim.Optimizer, weights: Float[Tensor, " gaussians"]) -> None:
        """After a step: put rows of weight 0 back, and let rows of weight w keep w of their update."""
        hard, soft = self._hard_and_soft_rows(weights)
        for parameter in _stepping_parameters(optimizer, len(weights)):
            hard_before, soft_before = self._before.pop(parameter)
            # Copied back, not multiplied by zero: 0 x NaN is NaN, and these rows survive even a diverged step.
            parameter.index_copy_(0, hard, hard_before)
            if len(soft):
                share = weights[soft].to(parameter).reshape(-1, *[1] * (parameter.ndim - 1))
                parameter.index_copy_(0, soft, torch.lerp(soft_before, parameter.index_select(0, soft), share))

    def _hard_and_soft_rows(
        self, weights: Float[Tensor, " gaussians"]
    ) -> tuple[Int[Tensor, " hard"], Int[Tensor, " soft"]]:
        """Rows that may not change, and rows that may change by a share.

        Found once for as long as the weights are the same tensor with the same contents: each time, a GPU would have
        to finish everything before it could say how many they are.
        """
        now = self._weights
        if now is None or now[0] is not weights or now[1] != weights._version:
            self._rows = (weights <= 0).nonzero()[:, 0], ((weights > 0) & (weights < 1)).nonzero()[:, 0]
            self._weights = weights, weights._version
        return self._rows


def _stepping_parameters(optimizer: torch.optim.Optimizer, gaussian_count: int) -> list[Tensor]:
    """Parameters that this step changes, those with a gradient.

    Raises:
        ValueError: one has another number of rows than there are weights.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    for parameter in parameters:
        if len(parameter) != gaussian_count:
            raise ValueError(
                f"The gate has weights for {gaussian_count:,} Gaussians but a parameter of shape "
                f"{list(parameter.shape)} steps; keep the weights in the strategy's state, so that densification "
                "carries them along, and gate only optimizers of Gaussians"
            )
    return parameters
