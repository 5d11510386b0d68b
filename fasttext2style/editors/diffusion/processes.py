"""Several processes that tune one editor, as `accelerate launch` starts them; alone, if nothing started more.

Every process holds the whole editor and knows all samples; each computes its share of them, and all of them see all
results. Gradients are added up, so that the LoRA is the same in every process.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Row = TypeVar("Row")


class Processes:
    """Who computes what. Attributes: `device`, `index`, `count`, `is_first`."""

    def __init__(self) -> None:
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available())
        assert state.device is not None
        # Of several on CPUs it says "cpu:0", which torch.load does not know.
        self.device = "cpu" if state.device.type == "cpu" else str(state.device)
        self.index, self.count = state.process_index, state.num_processes

    @property
    def is_first(self) -> bool:
        """The one that writes files and speaks."""
        return self.index == 0

    def share(self, rows: Sequence[Row]) -> list[Row]:
        """Neighbours, in order: of 5 rows two processes have 2 and 3."""
        first, last = (len(rows) * place // self.count for place in (self.index, self.index + 1))
        return list(rows[first:last])

    def gathered(self, results: list[Any]) -> list[Any]:
        """Those of all processes in the order of their shares, on this one's device. Waits for all."""
        if self.count == 1:
            return results
        from accelerate.utils import gather_object

        content = io.BytesIO()
        torch.save(results, content)
        lots = gather_object([content.getvalue()])
        # Written a moment ago by this same program: nothing of strangers is read.
        return [
            one for lot in lots for one in torch.load(io.BytesIO(lot), map_location=self.device, weights_only=False)
        ]

    def add_up(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Their gradients become the sums over all processes; who computed none adds nothing."""
        if self.count == 1:
            return
        gradients: list[Tensor] = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        torch._foreach_copy_(gradients, _summed(gradients))


def _summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    from accelerate.utils import reduce

    flat = reduce(torch.cat([one.flatten() for one in tensors]), "sum")
    assert isinstance(flat, Tensor)
    return [part.view_as(one) for part, one in zip(flat.split([one.numel() for one in tensors]), tensors)]
