"""What is missing when an object is taken away: where nothing was ever seen, and what can fill it.

instruct-gs has the editor paint the background and the scene "filled where needed". Most of what an object hides in one
view is seen in another, and the scene without the object shows it better than any editor. Only where the object hid
things from every view is there a hole, and only that is painted.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from fasttext2style.rounds.views import to_bytes
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions, render_values, views_at_once
from fasttext2style.selection.lifting import mask_shares
from fasttext2style.styling.editable import EditableObject

HIDDEN = 0.9
"""A Gaussian was never seen if the object hid at least this share of it, over all views."""
Holes = UInt8[Tensor, "views height width 1"]
"""How much of each pixel is a hole, in 8 bits, on the CPU."""
FADED_LOGIT = -5.0
"""Opacity 0.007: many such Gaussians on one ray show little, and yet each can come back."""


@torch.no_grad()
def hole_masks(scene: Gaussians, weights: Float[Tensor, " gaussians"], cameras: Cameras) -> Holes:
    """How much of each pixel, once the object is gone, shows what no view ever saw, or nothing at all.

    Exact for what is there: a Gaussian's visible weight over all views with the object is compared with that without.
    Inside the object's own outline only.
    """
    rest = scene.subset(weights == 0)
    everywhere = torch.ones(1, 1, 1, 1, device=scene.device).expand(len(cameras), cameras.height, cameras.width, 1)
    seen = contributions(scene, cameras, everywhere)[weights == 0, 0]
    would_be_seen = contributions(rest, cameras, everywhere)[:, 0]
    never_seen = seen < (1 - HIDDEN) * would_be_seen
    parts, chunk = [], views_at_once(scene, 8)
    for start in range(0, len(cameras), chunk):
        some = cameras[start : start + chunk]
        outline, _, _ = render_values(scene, some, (weights > 0).float()[:, None])
        unknown, alphas, _ = render_values(rest, some, never_seen.float()[:, None])
        holes = (outline * (unknown + 1 - alphas)).clamp(0, 1)
        # What is known for the most part needs no painting: a mask's faint pixels would be widened like the others.
        parts.append(to_bytes(torch.where(holes > 0.5, holes, 0.0)))
    return torch.cat(parts)


def keep_seeds(edit: EditableObject, cameras: Cameras, holes: Holes) -> None:
    """Reduce an object to its `fill_seeds`, nearly transparent."""
    keep = fill_seeds(edit.original, cameras, holes)
    for name, parameter in list(edit.parameters.items()):
        edit.parameters[name] = nn.Parameter(parameter.detach()[keep])
    edit.parameters["opacities"].data.fill_(FADED_LOGIT)
    edit.mark_grown(edit.weights[keep])


@torch.no_grad()
def fill_seeds(gaussians: Gaussians, cameras: Cameras, holes: Holes) -> Bool[Tensor, " gaussians"]:
    """Which of the object's Gaussians stand in the hole: seen inside it by more than half of their visible weight.

    They lie in the hole's visual hull, where what fills it belongs.

    Raises:
        ValueError: none does.
    """
    chosen = mask_shares(gaussians, cameras, holes[..., 0]) > 0.5
    if not bool(chosen.any()):
        raise ValueError(
            "Nothing of the object stands where the hole is, so there is nothing to fill it with. Take the object out "
            "without painting: ft2s export RUN --what rest."
        )
    return chosen
