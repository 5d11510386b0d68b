"""What shows where something was drawn over a view: a rectangle, the inside of a line, a stroke of a brush."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions
from fasttext2style.selection.selection import Selection

SEEN = 0.05
"""Pixels that a Gaussian must fill (its opacities summed, seen through what is before it) to count as seen."""
Drawing = Literal["rectangle", "lasso", "brush"]
Point = tuple[float, float]
"""Shares of the width and height, from the upper left corner."""


@torch.no_grad()
def select_seen(gaussians: Gaussians, camera: Cameras, mask: Float[Tensor, "height width"], name: str) -> Selection:
    """Gaussians that are seen in the masked part of a view and belong there for the most part.

    What they hide is left out.

    Raises:
        ValueError: nothing is seen there.
    """
    masks = torch.stack([mask, torch.ones_like(mask)], dim=-1)[None].to(gaussians.means)
    inside, everywhere = contributions(gaussians, camera, masks).unbind(dim=1)
    chosen = (inside > SEEN) & (inside > 0.5 * everywhere)
    if not bool(chosen.any()):
        raise ValueError(f"There is nothing solid inside {name}: draw it over the object")
    return Selection(chosen.to(gaussians.means), name).for_scene(gaussians)


def drawn_mask(
    drawing: Drawing, points: Sequence[Point], width: int, height: int, size: float = 0.0
) -> Float[Tensor, "height width"]:
    """1 where something was drawn, else 0.

    A rectangle has two opposite corners, a lasso is closed by itself, a brush's diameter is `size` times the height.

    Raises:
        ValueError: too few points for what was drawn, or nothing of it inside the picture.
    """
    least = {"rectangle": 2, "lasso": 3, "brush": 1}[drawing]
    if len(points) < least:
        raise ValueError(f"A {drawing} takes at least {least} points, got {len(points)}: drag farther")
    # Pixels have their middles at halves.
    line = [(x * width - 0.5, y * height - 0.5) for x, y in points]
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    if drawing == "rectangle":
        (x0, y0), (x1, y1) = line[0], line[-1]
        left, right, top, bottom = min(x0, x1) + 0.5, max(x0, x1) - 0.5, min(y0, y1) + 0.5, max(y0, y1) - 0.5
        if right >= left and bottom >= top:
            draw.rectangle((round(left), round(top), round(right), round(bottom)), fill=1)
    elif drawing == "lasso":
        draw.polygon(line, fill=1)
    else:
        radius = max(0.5, size * height / 2)
        draw.line(line, fill=1, width=max(1, round(2 * radius)), joint="curve")
        for x, y in line:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    mask = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(height, width).float()
    if not bool(mask.any()):
        raise ValueError(f"No pixel of the picture lies inside the {drawing}: drag over the object")
    return mask
