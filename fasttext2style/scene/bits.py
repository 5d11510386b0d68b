"""Whether numbers are the same to the bit."""

from __future__ import annotations

import torch
from torch import Tensor


def same_bits(ours: Tensor, theirs: Tensor) -> Tensor:
    """Per entry, whether all bits agree: NaN equals itself, -0.0 is not 0.0."""
    if ours.dtype != theirs.dtype:
        raise ValueError(f"Cannot compare the bits of {ours.dtype} with those of {theirs.dtype}")
    as_integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[ours.element_size()]
    return ours.contiguous().view(as_integers) == theirs.contiguous().view(as_integers)


def changed_rows(ours: Tensor, theirs: Tensor) -> Tensor:
    """Per row, whether any bit differs."""
    return ~same_bits(ours, theirs)[:, None].flatten(1).all(dim=1)
