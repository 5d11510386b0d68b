"""Select what a sentence names: a segmenter looks at some views, the views vote."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.lifting import lift_masks
from fasttext2style.selection.segmenters.segmenter import Segmenter
from fasttext2style.selection.selection import Selection

MOST_VIEWS, MOST_PIXELS = 12, 512
"""Views, spread over all, and pixels of their longer side: more cost time."""
LEAST_SHARE = 5e-4
"""Of a view's pixels that must be found, so that a stray pixel makes no finding: 130 of 512 x 512."""


def select_by_text(
    gaussians: Gaussians,
    cameras: Cameras,
    segmenter: Segmenter,
    text: str,
    threshold: float = 0.5,
    most_views: int = MOST_VIEWS,
    most_pixels: int = MOST_PIXELS,
) -> Selection:
    """Select what `text` names, such as "the bear", as `segmenter` finds it in renders of some of the views.

    The views in which something was found vote, each by what a Gaussian shows in it inside minus outside the mask:
    more than `threshold` of the visible weight inside selects (see `lift_masks`). A thing found wrongly in few views
    is outvoted by the others that show it; a view without a finding has no vote, for segmenters overlook things.

    Raises:
        ValueError: no text, nothing found in any view, or nothing left after the vote; says what to do.
    """
    text = text.strip()
    if not text:
        raise ValueError("There is no text: say what to select, such as 'the bear'")
    views = cameras.evenly(most_views).shrunk(most_pixels)
    images = torch.cat([render(gaussians.detach(), view)[0] for view in views]).clamp(0, 1)
    masks = segmenter.masks(images, text).to(images).clamp(0, 1)
    found = _found(masks)
    count = int(found.sum())
    if count == 0:
        surest = float(masks.max()) if masks.numel() else 0.0
        raise ValueError(
            f"{segmenter.name} found nothing in {len(views)} views that it would call {text!r} (surest pixel "
            f"{surest:.2f}, needed 0.50). Use other words, another segmenter, or select by clicks or a box."
        )
    selection = lift_masks(gaussians, views[found.nonzero()[:, 0]], masks[found], threshold)
    if selection.count == 0:
        raise ValueError(
            f"{segmenter.name} found {text!r} in {count} of {len(views)} views, but the views do not agree: nothing "
            f"shows more than {threshold:.0%} inside the findings. Lower the threshold, use other words, or select by "
            "clicks or a box."
        )
    return replace(selection, origin=f"text '{text}' found in {count} of {len(views)} views by {segmenter.name}")


def _found(masks: Float[Tensor, "views height width"]) -> Tensor:
    """[views]: whether there is a finding."""
    return (masks > 0.5).float().mean(dim=(1, 2)) >= LEAST_SHARE
