"""Small numbers on a device: to make them anew at every step is to wait for it each time."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def constant(values: tuple[float | int, ...], like: Tensor) -> Tensor:
    """`like.new_tensor(values)`, made once for each type and device; not to be written into."""
    return _constant(values, like.dtype, like.device)


@functools.lru_cache(maxsize=256)
def _constant(values: tuple[float | int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Made outside of whatever mode is on now: a tensor of inference could not be used in training later.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
