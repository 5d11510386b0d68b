"""Pictures by which a person sees which object is meant: the object marked, candidates by number, views with rulers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fasttext2style.evaluation.report import labelled_rows, to_uint8, write_png
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render, render_values

MARK_COLOR = (0.1, 0.85, 1.0)
"""Of the marked object: seldom in photographs, and no material that people like to ask for."""
TINT = 0.5
"""How much of the mark's colour lies on the object."""
VIEWS = 4
RULER, TICK = 22, 32
"""Width of the rulers around a view, and how far its numbers stand apart, in pixels."""


def marked(image: Tensor, coverage: Tensor, tint: float) -> Tensor:
    """An image with the object tinted and outlined.

    Args:
        image: [height, width, 3] in [0, 1].
        coverage: [height, width, 1], how much of each pixel's colour comes from the object.
        tint: how much of the mark's colour lies on the object; 0 leaves the outline alone.
    """
    color = image.new_tensor(MARK_COLOR)
    tinted = torch.lerp(image, color.expand_as(image), tint * coverage)
    inside = (coverage > 0.5).float()[None, :, :, 0]
    # The outline: pixels inside that have a neighbour outside.
    eroded = -torch.nn.functional.max_pool2d(-inside, kernel_size=3, stride=1, padding=1)
    return torch.where((inside - eroded)[0, :, :, None] > 0, color, tinted)


@torch.no_grad()
def highlighted(
    gaussians: Gaussians, weights: Float[Tensor, " gaussians"], cameras: Cameras
) -> Float[Tensor, "views height width 3"]:
    """Renders with the object tinted, as much as it is selected and seen, and outlined."""
    pictures = []
    for view in cameras:
        coverage, _, _ = render_values(gaussians, view, weights.to(gaussians.means)[:, None])
        pictures.append(marked(render(gaussians, view)[0][0].clamp(0, 1), coverage[0].clamp(0, 1), TINT))
    return torch.stack(pictures)


def write_object_picture(
    path: Path, gaussians: Gaussians, cameras: Cameras, objects: Mapping[str, Float[Tensor, " gaussians"]]
) -> None:
    """A PNG of some objects, each a row of marked views under its label.

    Args:
        cameras: the training views; `VIEWS` of them are shown.
        objects: weights by label.

    Raises:
        OSError: it cannot be written.
    """
    views = cameras.evenly(VIEWS)
    write_png(path, labelled_rows({label: highlighted(gaussians, w, views) for label, w in objects.items()}, VIEWS))


def ruled_sheet(
    images: Float[Tensor, "views height width 3"], numbers: list[int], columns: int = 4
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Views under their numbers, with their pixels counted from the upper left corner along two sides."""
    tiles = [_ruled(image, number) for image, number in zip(to_uint8(images), numbers)]
    columns = min(columns, len(tiles))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[start : start + columns], axis=1) for start in range(0, len(tiles), columns)]
    return np.concatenate(rows, axis=0)


def _ruled(image: UInt8[np.ndarray, "height width 3"], number: int) -> UInt8[np.ndarray, "h w 3"]:
    height, width = image.shape[:2]
    font, large = ImageFont.load_default(size=10), ImageFont.load_default(size=14)
    canvas = Image.new("RGB", (width + RULER + 8, height + 2 * RULER), "white")
    canvas.paste(Image.fromarray(image), (RULER, 2 * RULER))
    draw = ImageDraw.Draw(canvas)
    draw.text((RULER, 2), f"view {number}", fill="black", font=large)
    for x in range(0, width, TICK):
        draw.line([(RULER + x, 2 * RULER - 4), (RULER + x, 2 * RULER - 1)], fill="black")
        draw.text((RULER + x + 1, RULER + 4), str(x), fill="black", font=font)
    for y in range(0, height, TICK):
        draw.line([(RULER - 4, 2 * RULER + y), (RULER - 1, 2 * RULER + y)], fill="black")
        draw.text((1, 2 * RULER + y), str(y), fill="black", font=font)
    return np.asarray(canvas)
