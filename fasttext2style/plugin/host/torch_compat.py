"""What torch must be told before it reads nerfstudio's checkpoints."""

from __future__ import annotations

import numpy as np
import torch


def allow_learning_rates_in_checkpoints() -> None:
    """Let `torch.load(weights_only=True)` read the NumPy numbers that nerfstudio's schedulers put into checkpoints.

    torch >= 2.6 refuses every nerfstudio checkpoint otherwise (nerfstudio issue 3683). The allow-list holds for the
    whole process, so runs of other methods load again, too. Nothing but float64 scalars and their dtype is allowed.
    """
    if not hasattr(torch.serialization, "add_safe_globals"):
        return
    scalar = np.float64(0).__reduce__()[0]
    allowed: list = [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        type(np.dtype("float64")),
    ]
    torch.serialization.add_safe_globals(allowed)
