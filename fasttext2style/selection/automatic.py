"""Finds the object by itself: what the cameras turn around, freed from the ground on which it stands.

No network: people walk around the thing that they capture and keep it in the middle of their pictures. Steps: the point
where the cameras look; planes below it that reach far beyond what stands on them; the connected body above them that
fills the middle of the pictures; and a vote of all views on what belongs to its silhouette.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions, rasterize
from fasttext2style.selection.lifting import mask_shares, without_outliers
from fasttext2style.selection.neighbours import bodies, widths_of
from fasttext2style.selection.selection import Selection

MOST_VIEWS, MOST_PIXELS = 32, 128
"""Views and pixels per side that are looked at: more cost time and change nothing."""
MOST_PLANES = 3
"""A table on a floor are two."""
PLANE_TOLERANCE = 0.02
"""Half thickness of a plane in the search, in units of the cameras' distance."""
GROUND_TILT_DEGREES = 35.0
GROUND_REACH = 2.2
"""A plane is ground if it spreads over this many times the area of what stands on it.

Measured: the rock under the bear capture's statue 3.2, the toy scene's deck 14; their slabs, part of the object, 1.1
and 1.7.
"""


def select_automatic(gaussians: Gaussians, cameras: Cameras) -> Selection:
    """Select the object that most views look at.

    Units do not matter, nor where up is: it is taken from the cameras, which people hold upright on the whole.

    Raises:
        ValueError: fewer than three views, or nothing solid where they look.
    """
    if len(cameras) < 3:
        raise ValueError(f"Finding the object takes at least 3 views, got {len(cameras)}; select a box or give masks")
    some = torch.linspace(0, len(cameras) - 1, min(len(cameras), MOST_VIEWS)).round().long()
    views = cameras[some.to(cameras.device)]
    shrink = min(1.0, MOST_PIXELS / max(cameras.width, cameras.height))
    views = views.resized(max(1, round(shrink * cameras.width)), max(1, round(shrink * cameras.height)))
    scene = _look_at(gaussians.detach(), views)
    rows = ((scene.means - scene.focus).norm(dim=1) < scene.distance) & (scene.visible > 0)
    body = _body_above_ground(scene, rows.nonzero()[:, 0])
    if len(body) == 0:
        raise ValueError(
            "Nothing solid where the cameras look; does the capture go around an object? Select it by a box or masks"
        )
    found = torch.zeros_like(scene.visible)
    found[body] = 1.0
    coverage, _, _ = rasterize(
        gaussians.means.detach(),
        gaussians.quats.detach(),
        gaussians.scales.detach(),
        gaussians.opacities.detach(),
        found[:, None],
        views.viewmats,
        views.Ks,
        views.width,
        views.height,
    )
    # The vote fills holes of the body and takes in what its silhouette hides.
    shares = mask_shares(gaussians.detach(), views, (coverage[..., 0] > 0.5).to(coverage))
    chosen = without_outliers(gaussians.means.detach(), shares > 0.5)
    return Selection(chosen.to(gaussians.means), f"found by itself in {len(views)} views").for_scene(gaussians)


@dataclass(frozen=True)
class _Scene:
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


def _look_at(gaussians: Gaussians, cameras: Cameras) -> _Scene:
    focus = focus_of(cameras)
    rows = torch.linspace(-1, 1, cameras.height, device=cameras.device)[:, None]
    columns = torch.linspace(-1, 1, cameras.width, device=cameras.device)
    center = torch.exp(-(rows**2 + columns**2) / (2 * 0.4**2))
    masks = torch.stack([torch.ones_like(center), center], dim=-1).expand(len(cameras), -1, -1, -1)
    visible, central = contributions(gaussians, cameras, masks).clamp_min(0).unbind(dim=1)
    return _Scene(
        gaussians.means,
        widths_of(gaussians.scales),
        visible,
        central,
        focus,
        float((cameras.centers - focus).norm(dim=1).median()),
        torch.nn.functional.normalize(-cameras.viewmats[:, 1, :3].mean(dim=0), dim=0),
    )


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


def _body_above_ground(scene: _Scene, rows: Int[Tensor, " near"]) -> Int[Tensor, " body"]:
    """Take away one plane after another, as long as it reaches well beyond the body that stands on it."""
    generator = torch.Generator().manual_seed(0)
    body = None
    for _ in range(MOST_PLANES):
        plane = _find_plane(scene, rows, generator)
        if plane is None:
            break
        normal, offset = plane
        height, tolerance = scene.means[rows] @ normal - offset, PLANE_TOLERANCE * scene.distance
        within = height.abs() < tolerance
        # Ground as rough as it is: three robust standard deviations.
        roughness = 3 * 1.4826 * _weighted_median(height[within].abs(), scene.visible[rows[within]])
        above = _central_body(scene, rows[height > min(max(roughness, 0.15 * tolerance), 1.5 * tolerance)])
        sideways = torch.linalg.svd(normal[None], full_matrices=True)[2][1:].T
        reach = _area(scene.means[rows[within]] @ sideways) / max(_area(scene.means[above] @ sideways), 1e-12)
        if len(above) < 10 or reach < GROUND_REACH:
            break
        # Level parts of the object itself are no ground: most of what is in the middle of the pictures lies below them,
        # or, on a body already freed from its ground, the cameras look below them.
        below = scene.central[rows[height < -tolerance]].sum()
        looks_below = body is not None and float(scene.focus @ normal) < offset + tolerance
        if below > scene.central[above].sum() or looks_below:
            break
        rows = body = above
    return _central_body(scene, rows) if body is None else body


def _find_plane(
    scene: _Scene, rows: Int[Tensor, " near"], generator: torch.Generator
) -> tuple[Float[Tensor, "3"], float] | None:
    """The most visible plane that is about level: RANSAC, then least squares on its inliers.

    Its unit normal points up, and points on it have normal @ point = offset. None if nothing level carries a tenth of
    what is seen.
    """
    if len(rows) < 10:
        return None
    points, weights = scene.means[rows], scene.visible[rows]
    # Drawn by visibility, so that counting them is weighing.
    drawn = points[torch.multinomial(weights.cpu(), 6000, replacement=True, generator=generator).to(rows.device)]
    corners = drawn[:1500].reshape(500, 3, 3)
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=1)
    normals = torch.nn.functional.normalize(normals, dim=1)
    normals = normals * torch.sign(normals @ scene.up)[:, None]
    level = (normals @ scene.up) > math.cos(math.radians(GROUND_TILT_DEGREES))
    if not bool(level.any()):
        return None
    normals, offsets = normals[level], (normals * corners[:, 0]).sum(dim=1)[level]
    tolerance = PLANE_TOLERANCE * scene.distance
    support = ((drawn @ normals.T - offsets).abs() < tolerance).float().mean(dim=0)
    best = int(support.argmax())
    normal, offset = normals[best], float(offsets[best])
    if float(support[best]) < 0.1:
        return None
    for _ in range(5):
        inliers = (points @ normal - offset).abs() < tolerance
        share = weights[inliers] / weights[inliers].sum()
        middle = share @ points[inliers]
        spread = (points[inliers] - middle) * share.sqrt()[:, None]
        normal = torch.linalg.svd(spread, full_matrices=False)[2][2]
        normal = normal * torch.sign(normal @ scene.up)
        offset = float(normal @ middle)
    return normal, offset


def _central_body(scene: _Scene, rows: Int[Tensor, " candidates"]) -> Int[Tensor, " body"]:
    """Of all bodies of touching Gaussians the one that shows most in the middle of the pictures."""
    if len(rows) == 0:
        return rows
    labels = bodies(scene.means[rows], scene.widths[rows], longest=0.04 * scene.distance)
    shown = torch.zeros(int(labels.max()) + 1, dtype=torch.float64, device=rows.device)
    shown.index_add_(0, labels, scene.central[rows].double())
    return rows[labels == shown.argmax()]


def _area(points: Float[Tensor, "points 2"]) -> float:
    """Of the ellipse of inertia, up to a factor: outliers matter less than in a convex hull."""
    centered = (points - points.mean(dim=0)).double()
    return math.sqrt(max(0.0, float(torch.det(centered.T @ centered / max(1, len(points))))))


def _weighted_median(values: Float[Tensor, " points"], weights: Float[Tensor, " points"]) -> float:
    order = values.argsort()
    cumulative = weights[order].cumsum(dim=0)
    return float(values[order][torch.searchsorted(cumulative, cumulative[-1] / 2).clamp_max(len(values) - 1)])
