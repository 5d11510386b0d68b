"""What is far away from where the cameras look: the sky and the horizon that a capture brings with it."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras, looked_at
from fasttext2style.scene.gaussians import Gaussians

FAR = 6.0
"""In distances of the cameras from what they look at, their median. Trees around a meadow are nearer, skies farther."""


def far_away(gaussians: Gaussians, cameras: Cameras) -> Float[Tensor, " gaussians"]:
    """1 for what is farther than `FAR` from what the cameras look at, else 0."""
    return is_far(gaussians.means, cameras).float()


def is_far(points: Float[Tensor, "points 3"], cameras: Cameras) -> Bool[Tensor, " points"]:
    """Whether points in the world are farther than that."""
    target = looked_at(cameras).to(points)
    reach = (cameras.centers.to(target) - target).norm(dim=1).median()
    return (points - target).norm(dim=1) > FAR * reach
