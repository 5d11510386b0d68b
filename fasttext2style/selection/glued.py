"""What hangs before one lens: Gaussians that explain a single photograph and are fog to whoever looks from elsewhere.

A reconstruction puts them there for what only that photograph has: another exposure, a finger, blur. Nothing else holds
them, for in the other views they are small or out of sight.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions, render
from fasttext2style.selection.neighbours import bodies, widths_of
from fasttext2style.selection.seen import focus_of

NEAR = 0.25
"""Of the way from a camera to where the cameras look, or to the middle of the depths that it sees, if that is less."""
OWN = 0.8
"""Of all of a body's surface that is seen, so much by one camera."""
MOST_PIXELS = 64


@torch.no_grad()
def glued_to_a_lens(gaussians: Gaussians, cameras: Cameras) -> Bool[Tensor, " gaussians"]:
    """What lies near before one camera, and touches nothing that other cameras see, too.

    Args:
        cameras: those of the photographs, all of them: what a view shows that is left out here seems to show nowhere.
    """
    gaussians, views = gaussians.detach(), cameras.shrunk(MOST_PIXELS)
    glued = torch.zeros(len(gaussians), dtype=torch.bool, device=gaussians.means.device)
    reach = NEAR * (views.centers - focus_of(views)).norm(dim=1)
    suspects = {}
    for view in range(len(views)):
        distance = (gaussians.means - views.centers[view]).norm(dim=1)
        if bool((distance < reach[view]).any()):
            near = distance < min(float(reach[view]), NEAR * _usual_depth(gaussians, views[view]))
            suspects[view] = near.nonzero()[:, 0]
    if not any(map(len, suspects.values())):
        return glued
    rows = torch.cat(list(suspects.values())).unique()
    seen = torch.stack([_surface_seen(gaussians, view)[rows] for view in views])
    widths = widths_of(gaussians.scales)
    for view, near in suspects.items():
        if len(near):
            labels, at = bodies(gaussians.means[near], widths[near]), torch.searchsorted(rows, near)
            here, everywhere = (_summed(surface[at], labels) for surface in (seen[view], seen.sum(dim=0)))
            glued[near] = glued[near] | ((here > 0) & (here >= OWN * everywhere))[labels]
    return glued


def _surface_seen(gaussians: Gaussians, view: Cameras) -> Float[Tensor, " gaussians"]:
    """What a view shows of each, as an area up to a factor: from half as far it takes four times as many pixels."""
    whole = torch.ones(1, view.height, view.width, 1, device=view.device)
    pixels = contributions(gaussians, view, whole)[:, 0].clamp_min(0)
    return pixels * (gaussians.means - view.centers[0]).square().sum(dim=1)


def _summed(values: Float[Tensor, " rows"], labels: Int[Tensor, " rows"]) -> Float[Tensor, " bodies"]:
    return values.new_zeros(int(labels.max()) + 1).index_add_(0, labels, values)


def _usual_depth(gaussians: Gaussians, view: Cameras) -> float:
    depth, solid, _ = render(gaussians, view, render_mode="ED")
    depth = depth[solid > 0.5]
    return float(depth.median()) if len(depth) else 0.0
