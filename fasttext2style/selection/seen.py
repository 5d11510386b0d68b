"""A scene as its cameras see it: where they look, where up is, what shows, and what is solid.

No network: people walk around the thing that they capture, keep it in the middle of their pictures, and
hold the camera upright on the whole. From the cameras come the unit of length, the direction up, and what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions
from fasttext2style.selection.colors import base_colors, to_lab
from fasttext2style.selection.neighbours import bodies, longest_gap, widths_of

LEAST_VIEWS = 3
"""Fewer do not say where they all look."""
MOST_VIEWS, MOST_PIXELS = 32, 128
"""Views and pixels per side that are looked at: more cost time and change nothing."""
LEAST_OPACITY = 0.2
"""What is fainter is fog or debris and holds no body together; the vote of the views takes back what shows on it."""
FOG_WIDTH, FOG_OPACITY = 0.06, 0.5
"""What is wider, in units of the cameras' distance, has to be so solid."""
CAMERA_REACH = 0.25
"""What lies nearer to a camera than this share of its distance to the focus floats before the lens."""
ONE_SIDED = 0.7
"""Length of the mean of the directions in which the cameras look, above which they stand on one side of what they see:
within some 120 degrees."""


@dataclass(frozen=True)
class SeenScene:
    """A scene as its cameras see it."""

    means: Float[Tensor, "gaussians 3"]
    widths: Float[Tensor, " gaussians"]
    visible: Float[Tensor, " gaussians"]
    """Share in all pictures."""
    central: Float[Tensor, " gaussians"]
    """The same with the middle of the pictures weighing most."""
    focus: Float[Tensor, "3"]
    distance: float
    """From the cameras to the focus, the unit of all lengths here."""
    up: Float[Tensor, "3"]
    towards: Float[Tensor, "3"]
    """From the focus to where the cameras stand: their mean unit vector, short if they stand all around."""
    solid: Bool[Tensor, " gaussians"]
    """What may hold a body together: no fog, nothing that floats before a lens."""
    colors: Float[Tensor, "gaussians 3"]
    """In CIELAB / 100, seen from nowhere."""

    def close(self) -> Int[Tensor, " close"]:
        """What is seen, is solid, and lies no farther from where the cameras look than they do."""
        close = (self.means - self.focus).norm(dim=1) < self.distance
        return (close & (self.visible > 0) & self.solid).nonzero()[:, 0]


def some_views(cameras: Cameras) -> Cameras:
    """Few and small views, spread over all."""
    return cameras.evenly(MOST_VIEWS).shrunk(MOST_PIXELS)


def look_at(gaussians: Gaussians, cameras: Cameras) -> SeenScene:
    """See a scene through all of these views."""
    gaussians = gaussians.detach()
    focus = focus_of(cameras)
    solid = _solid(gaussians, cameras, focus)
    if float(cameras.directions.mean(dim=0).norm()) > ONE_SIDED:
        # Axes that differ little say little about how far away they meet.
        focus = _seen_in_the_middle(gaussians, cameras, solid)
        solid = _solid(gaussians, cameras, focus)
    away = cameras.centers - focus
    rows = torch.linspace(-1, 1, cameras.height, device=cameras.device)[:, None]
    columns = torch.linspace(-1, 1, cameras.width, device=cameras.device)
    center = torch.exp(-(rows**2 + columns**2) / (2 * 0.4**2))
    masks = torch.stack([torch.ones_like(center), center], dim=-1).expand(len(cameras), -1, -1, -1)
    visible, central = contributions(gaussians, cameras, masks).clamp_min(0).unbind(dim=1)
    return SeenScene(
        gaussians.means,
        widths_of(gaussians.scales),
        visible,
        central,
        focus,
        float(away.norm(dim=1).median()),
        cameras.up,
        torch.nn.functional.normalize(away, dim=1).mean(dim=0),
        solid,
        to_lab(base_colors(gaussians)),
    )


def connected(scene: SeenScene, rows: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
    """Number the bodies of touching Gaussians among these."""
    return bodies(scene.means[rows], scene.widths[rows], longest=longest_gap(scene.means[rows], scene.distance))


def _solid(gaussians: Gaussians, cameras: Cameras, focus: Float[Tensor, "3"]) -> Bool[Tensor, " gaussians"]:
    """What is neither fog nor floats before a lens, if this is where the cameras look."""
    away = (cameras.centers - focus).norm(dim=1)
    widths, opacities = widths_of(gaussians.scales), gaussians.logit_opacities.sigmoid()
    # A scene that has hardly been trained is faint all over.
    usual = float(opacities[:: 1 + len(opacities) // 100_000].quantile(0.9))
    least, least_of_wide = min(LEAST_OPACITY, 0.5 * usual), min(FOG_OPACITY, 0.5 * usual)
    is_fog = (widths > FOG_WIDTH * float(away.median())) & (opacities < least_of_wide)
    floats = torch.zeros_like(is_fog)
    for center, reach in zip(cameras.centers, CAMERA_REACH * away):
        floats |= (gaussians.means - center).norm(dim=1) < reach
    return (opacities >= least) & ~is_fog & ~floats


def _seen_in_the_middle(
    gaussians: Gaussians, cameras: Cameras, solid: Bool[Tensor, " gaussians"]
) -> Float[Tensor, "3"]:
    """Where the surface lies that the middle of the pictures shows: the median over them."""
    height, width = cameras.height, cameras.width
    middle = torch.zeros(len(cameras), height, width, 1, device=cameras.device)
    middle[:, height // 3 : height - height // 3, width // 3 : width - width // 3] = 1.0
    shown = contributions(gaussians, cameras, middle)[:, 0].clamp_min(0) * solid
    if float(shown.sum()) <= 0:
        return focus_of(cameras)
    return torch.stack([weighted_median(axis, shown) for axis in gaussians.means.T])


def focus_of(cameras: Cameras) -> Float[Tensor, "3"]:
    """The point with the smallest sum of distances to the optical axes.

    Distances and not their squares (by iterated reweighting), so that a few views that look elsewhere do not count
    much. For cameras that look in parallel any point on the axes will do.
    """
    centers, directions = cameras.centers.double(), cameras.directions.double()
    across = torch.eye(3, dtype=torch.float64, device=cameras.device) - directions[:, :, None] * directions[:, None]
    weights = torch.ones(len(cameras), dtype=torch.float64, device=cameras.device)
    focus = centers.mean(dim=0)
    for _ in range(10):
        share = weights / weights.sum()
        # A trace of the cameras' mean: parallel axes alone leave the depth open.
        system = (share[:, None, None] * across).sum(dim=0) + 1e-9 * torch.eye(3).to(across)
        right = (share[:, None] * (across @ centers[:, :, None])[:, :, 0]).sum(dim=0) + 1e-9 * centers.mean(dim=0)
        focus = torch.linalg.solve(system, right)
        misses = (across @ (focus - centers)[:, :, None])[:, :, 0].norm(dim=1)
        weights = 1 / misses.clamp_min(1e-3 * float((centers - focus).norm(dim=1).median()) + 1e-12)
    return focus.to(cameras.viewmats)


def weighted_median(values: Float[Tensor, " points"], weights: Float[Tensor, " points"]) -> Float[Tensor, ""]:
    order = values.argsort()
    cumulative = weights[order].cumsum(dim=0)
    return values[order][torch.searchsorted(cumulative, cumulative[-1] / 2).clamp_max(len(values) - 1)]
