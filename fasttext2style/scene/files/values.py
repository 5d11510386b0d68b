"""What the formats of scenes have in common: infinite and invalid values, rotations in few bits."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt32

from fasttext2style.scene.gaussians import Gaussians

OPAQUE = 20.0
"""Logit in place of infinity: in 32 bits its sigmoid is 1."""
THINNEST = -20.0
"""log_scale in place of minus infinity: 2e-9 units."""
WITHOUT_INVALID = "export the scene again without them"


def without_invalid_rows(
    gaussians: Gaussians, path: Path, drop_invalid: bool = False, remedy: str = WITHOUT_INVALID
) -> Gaussians:
    """A scene as a file has it, if all of it is numbers, or without the rows that are not, with a warning.

    Args:
        drop_invalid: leave out rows with NaN or infinite values.
        remedy: what people can do where such rows are not left out.

    Raises:
        ValueError: there are such rows and they are not to be left out, or nothing else.
    """
    invalid = gaussians.invalid_rows()
    if not invalid:
        return gaussians
    any_invalid = torch.stack(list(invalid.values())).any(dim=0)
    counts = ", ".join(f"{name}: {int(rows.sum()):,}" for name, rows in invalid.items())
    found = f"{path}: {int(any_invalid.sum()):,} of {len(gaussians):,} Gaussians have NaN or infinite values ({counts})"
    if not drop_invalid:
        raise ValueError(f"{found}: {remedy}")
    if bool(any_invalid.all()):
        raise ValueError(f"{found}, so nothing is left; export the scene again")
    warnings.warn(f"{found}; they are left out", stacklevel=3)
    return gaussians.subset(~any_invalid)


def quats_of_smallest_three(
    others: Float32[np.ndarray, "gaussians 3"], largest: UInt32[np.ndarray, " gaussians"]
) -> Float32[np.ndarray, "gaussians 4"]:
    """Rotations from their three smaller components, in order, and which of the four is left out, for it follows.

    With others (0, 0, 0) and largest 0 that is (1, 0, 0, 0).
    """
    left_out = np.sqrt(np.maximum(0.0, 1.0 - np.square(others, dtype=np.float64).sum(axis=1)))
    quats = np.empty((len(others), 4), dtype=np.float32)
    rows = np.arange(len(others))
    places = np.arange(4) != largest[:, None]
    quats[places] = others.reshape(-1)
    quats[rows, largest] = left_out
    return quats
