"""What shows inside a rectangle of one view."""

from __future__ import annotations

import math

import torch

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.drawn import select_seen
from fasttext2style.selection.selection import Selection


@torch.no_grad()
def select_rectangle(
    gaussians: Gaussians, camera: Cameras, corners: tuple[float | int, float | int, float | int, float | int]
) -> Selection:
    """Gaussians that are seen inside a rectangle and belong there for the most part; what they hide is left out.

    `corners` are x0, y0, x1, y1 in pixels of the view, in any order, and may reach beyond it.

    Raises:
        ValueError: not one view, a rectangle of less than one pixel inside the image, or nothing seen in it.
    """
    if len(camera) != 1:
        raise ValueError(f"A rectangle is drawn in one view, got {len(camera)}; choose one with cameras[number]")
    (x0, x1), (y0, y1) = sorted((corners[0], corners[2])), sorted((corners[1], corners[3]))
    # Cut before they are rounded: corners may lie infinitely far off. Of a NaN nothing is left.
    left, right = (round(min(max(0.0, x), camera.width)) for x in (x0, x1))
    top, bottom = (round(min(max(0.0, y), camera.height)) for y in (y0, y1))
    if any(map(math.isnan, corners)) or right <= left or bottom <= top:
        raise ValueError(
            f"The rectangle from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) holds no pixel of the image of "
            f"{camera.width} x {camera.height}: drag over the object"
        )
    mask = torch.zeros(camera.height, camera.width)
    mask[top:bottom, left:right] = 1.0
    return select_seen(gaussians, camera, mask, "a rectangle")
