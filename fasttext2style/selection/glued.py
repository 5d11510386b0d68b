"""What hangs before one lens: Gaussians that explain a single photograph and are fog to whoever looks from elsewhere.

A reconstruction puts them there for what only that photograph has: another exposure, a finger, blur. Nothing else holds
them, for in the other views they are small or out of sight.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions, render
from fasttext2style.selection.seen import focus_of

NEAR = 0.25
"""Of the way from a camera to where the cameras look, or to the middle of the depths that it sees, if that is less."""
OWN = 0.8
"""Of all that a Gaussian shows, so much in one view."""
MOST_PIXELS = 64


@torch.no_grad()
def glued_to_a_lens(gaussians: Gaussians, cameras: Cameras) -> Bool[Tensor, " gaussians"]:
    """What lies near before one camera and shows nearly nowhere but in its view.

    The near side of a real thing may be among it, which is learnt again while training goes on.

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
            suspects[view] = distance < min(float(reach[view]), NEAR * _usual_depth(gaussians, views[view]))
    if not suspects:
        return glued
    everywhere = _shown(gaussians, views)
    for view, near in suspects.items():
        here = _shown(gaussians, views[view])
        glued |= near & (here > 0) & (here >= OWN * everywhere)
    return glued


def _shown(gaussians: Gaussians, views: Cameras) -> Float[Tensor, " gaussians"]:
    whole = torch.ones(len(views), views.height, views.width, 1, device=views.device)
    return contributions(gaussians, views, whole)[:, 0].clamp_min(0)


def _usual_depth(gaussians: Gaussians, view: Cameras) -> float:
    depth, solid, _ = render(gaussians, view, render_mode="ED")
    depth = depth[solid > 0.5]
    return float(depth.median()) if len(depth) else 0.0
