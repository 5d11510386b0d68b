"""Cameras once around an object."""

from __future__ import annotations

import math

import torch

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians


def orbit(target: Gaussians, cameras: Cameras, views: int, width: int, height: int) -> Cameras:
    """Once around an object, from as far and as high as the capture's own cameras stand: there the scene is known.

    Up is where the capture's cameras have it. The field of view takes in what lies within the 95th percentile of the
    distances from the object's middle.

    Raises:
        ValueError: the capture's cameras stand in the middle of the object.
    """
    weights = target.opacities[:, None]
    center = (target.means * weights).sum(dim=0) / weights.sum()
    distances = (target.means - center).norm(dim=1).sort().values
    extent = float(distances[int(0.95 * (len(distances) - 1))])
    offsets = cameras.centers.to(center) - center
    distance = float(offsets.norm(dim=1).median())
    if distance <= 0:
        raise ValueError("The capture's cameras stand in the middle of the object, so there is no way around it")
    up = cameras.up.to(center)
    elevations = torch.rad2deg(torch.asin((offsets @ up) / offsets.norm(dim=1)))
    # Neither from straight above, where upright means nothing, nor from under the floor.
    elevation = float(elevations.median().clamp(0, 60))
    fov = 2 * math.degrees(math.asin(min(1.25 * extent / distance, math.sin(math.radians(40)))))
    around = Cameras.orbit(center.cpu(), distance, views, width, height, max(fov, 5.0), elevation, up.tolist())
    return around.to(cameras.device)
