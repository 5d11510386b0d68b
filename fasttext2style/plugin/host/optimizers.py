"""Adam in one pass over memory: on a CPU the plain one costs as much as rendering."""

from __future__ import annotations

from dataclasses import dataclass

from nerfstudio.engine.optimizers import AdamOptimizerConfig


@dataclass
class FusedAdamConfig(AdamOptimizerConfig):
    """nerfstudio's Adam with torch's fused implementation (CPU since torch 2.4, CUDA)."""

    eps: float = 1e-15
    """As splatfacto: colours of rarely seen Gaussians have tiny gradients."""
    weight_decay: float = 0.0
    """Any would pull colours of unseen Gaussians to grey."""
    fused: bool = True
    """Set False on torch older than 2.4."""
