"""Cameras once around an object, past what stands around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render, render_values
from fasttext2style.terminal.console import warn

DETOURS = ((0.0, 1.0), (12.0, 1.0), (0.0, 0.75), (24.0, 1.0), (12.0, 0.75), (36.0, 1.0), (24.0, 0.75), (0.0, 0.55))
"""Degrees higher than the capture's cameras, and share of their distance: over what stands in the way, or inside it."""
FREE = 0.85
"""Of the object and of the picture must be free in every view of a way that is taken without trying the next."""
HIDDEN = 0.4
"""With less of them free people are told."""
HIGHEST_DEGREES = 60.0
"""From straight above upright means nothing."""
WIDEST_DEGREES = 80.0
TOO_NEAR = 0.3
"""What is nearer than this share of the way to the object is not beside it: the camera flies through it."""
NEARLY = 0.8
PROBES, PROBE_PIXELS = 12, (48, 48)


def orbit(
    target: Gaussians, cameras: Cameras, views: int, width: int, height: int, rest: Gaussians | None = None
) -> Cameras:
    """Once around an object, from as far and as high as the capture's own cameras stand: there the scene is known.

    Up is where the capture's cameras have it. The field of view takes in what lies within the 95th percentile of the
    distances from the object's middle. Where something stands in the way, the camera goes over it or inside of it;
    where neither helps, on the way that shows most, with a warning.

    Args:
        target: the object.
        cameras: the capture's.
        views: so many.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        rest: what stands around the object.

    Raises:
        ValueError: the capture's cameras stand in the middle of the object.
    """
    way = _Way.of(target, cameras)
    if rest is None or len(rest) == 0:
        return way.cameras(views, width, height)
    tried: list[tuple[_Way, float]] = []
    for other in (way.detour(degrees, share) for degrees, share in DETOURS):
        if other is not None:
            tried.append((other, float(free_shares(target, rest, other.cameras(PROBES, *PROBE_PIXELS)).min())))
            if tried[-1][1] >= FREE:
                break
    most = max(free for _, free in tried)
    if most < HIDDEN:
        warn("There is no free way around the object: in a part of the video something stands before it.")
    # The first that is as good as any: what hides a little from everywhere, such as the ground, is no reason to move.
    best = next(other for other, free in tried if free >= NEARLY * most)
    return best.cameras(views, width, height)


@torch.no_grad()
def free_shares(target: Gaussians, rest: Gaussians, cameras: Cameras) -> Float[Tensor, " views"]:
    """Of each view: how much of the object shows, times how much of the picture is not covered from very near."""
    both = Gaussians.concatenated([target.detach(), rest.detach()])
    is_object = torch.zeros(len(both), 1, device=both.device)
    is_object[: len(target)] = 1.0
    middle = target.means.mean(dim=0)
    shares = []
    for view in range(len(cameras)):
        camera = cameras[view]
        alone = render_values(target.detach(), camera, is_object[: len(target)])[0].sum()
        among = render_values(both, camera, is_object)[0].sum()
        image, alpha, _ = render(rest.detach(), camera, render_mode="RGB+ED")
        near = image[..., 3:] < TOO_NEAR * (camera.centers[0] - middle).norm()
        shares.append(among / alone.clamp_min(1e-6) * (1 - (near & (alpha > 0.5)).float().mean()))
    return torch.stack(shares)


@dataclass(frozen=True)
class _Way:
    """A circle around an object."""

    center: Float[Tensor, "3"]
    extent: float
    """Of the object."""
    distance: float
    elevation_degrees: float
    up: Float[Tensor, "3"]

    @staticmethod
    def of(target: Gaussians, cameras: Cameras) -> _Way:
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
        # Neither from straight above nor from under the floor.
        return _Way(center, extent, distance, float(elevations.median().clamp(0, HIGHEST_DEGREES)), up)

    def detour(self, degrees: float, share: float) -> _Way | None:
        """So much higher, at this share of the distance; None if that is no other way, or too near to see all."""
        higher = min(self.elevation_degrees + degrees, HIGHEST_DEGREES)
        fits = 1.25 * self.extent < math.sin(math.radians(WIDEST_DEGREES / 2)) * share * self.distance
        if (degrees and higher == self.elevation_degrees) or (share < 1 and not fits):
            return None
        return _Way(self.center, self.extent, share * self.distance, higher, self.up)

    def cameras(self, views: int, width: int, height: int) -> Cameras:
        half = math.asin(min(1.25 * self.extent / self.distance, math.sin(math.radians(WIDEST_DEGREES / 2))))
        fov, up = max(2 * math.degrees(half), 5.0), self.up.tolist()
        center = self.center.cpu()
        around = Cameras.orbit(center, self.distance, views, width, height, fov, self.elevation_degrees, up)
        return around.to(self.center.device)
