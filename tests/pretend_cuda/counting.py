"""What a step costs on a GPU beside its kernels: where the CPU waits for the device, and what is copied between them.

What waits is read off torch 2.9's sources: whatever hands a number or a size to the CPU (item, nonzero, indexing by a
mask, unique), copies to the CPU, copies from it unless they are non_blocking, and gsplat's count of tiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tests.pretend_cuda import device as pretended
from tests.pretend_cuda.device import COPIES, INDEXED, base_name

ASKING = {
    *("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "bincount", "repeat_interleave"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive", "isect_tiles"),
}
"""Kernels whose result, or its size, the CPU has to know before it goes on."""


@dataclass
class Cost:
    """Of whatever ran while it was counted."""

    waits: Counter[str] = field(default_factory=Counter)
    """By kernel: how often the CPU waited for the device."""
    kernels: Counter[str] = field(default_factory=Counter)
    bytes_to_cpu: int = 0
    bytes_from_cpu: int = 0

    def count(self, name: str, given: dict[str, Any]) -> None:
        """A kernel is about to run."""
        base = base_name(name)
        self.kernels[base] += 1
        if base in ASKING or (base in INDEXED and _by_mask(given)):
            self.waits[base] += 1
        if base in COPIES:
            to, source = given.get("self"), given.get("src")
            if not isinstance(to, Tensor) or not isinstance(source, Tensor) or to.device.type == source.device.type:
                return
            size = source.numel() * source.element_size()
            if to.device.type == "cpu":
                self.bytes_to_cpu += size
                self.waits["copy to the CPU"] += 1
            else:
                self.bytes_from_cpu += size
                self.waits["copy from the CPU"] += not given.get("non_blocking", False)


def _by_mask(given: dict[str, Any]) -> bool:
    indices = (index for index in given.get("indices", ()) if isinstance(index, Tensor))
    return any(index.dtype in (torch.bool, torch.uint8) for index in indices)


@contextmanager
def counted() -> Iterator[Cost]:
    """Count what runs inside, also in threads of autograd."""
    cost = Cost()
    pretended.hooks.append(cost.count)
    try:
        yield cost
    finally:
        pretended.hooks.remove(cost.count)
