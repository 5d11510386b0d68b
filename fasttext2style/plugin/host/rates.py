"""Learning rates of nerfstudio's optimizer settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any


def rates_of_mode(optimizers: dict[str, Any], rate: float) -> dict[str, Any]:
    """nerfstudio's optimizer settings per group, with a share of the learning rates of everything but colour."""
    changed = {}
    for name, entry in optimizers.items():
        optimizer = entry["optimizer"]
        lr = optimizer.lr if name.startswith("features") else optimizer.lr * rate
        changed[name] = entry | {"optimizer": replace(optimizer, lr=lr)}
    return changed
