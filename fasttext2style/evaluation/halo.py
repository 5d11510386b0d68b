"""What a person sees around an edited object: pixels that did not show it before, and whether they changed.

The object in a picture is where it gives more than half of a pixel's colour in the render before the edit: its mask.
Everything else is outside, also where the faint rims of its Gaussians reach. Images are [views, height, width, 3],
sRGB in [0, 1]; coverage is the object's share of each pixel's colour before the edit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from fasttext2style.evaluation.image_metrics import Images, Weights, psnr_of_error
from fasttext2style.evaluation.report import labelled_rows

CHANGED = 2 / 255
"""Of a channel: more than rounding to 8 bits on both sides can do."""
VISIBLE = 8 / 255
"""Of a channel: what one sees when a picture is exchanged for the other, also in a patterned surrounding."""
RIM = 0.01
"""Width of the object's own soft edge, as a share of the picture's shorter side, at least `LEAST_RIM` pixels: there a
pixel shows the object by up to a half, and takes that much of its new colour."""
LEAST_RIM = 2
HALO = 0.005
"""Share of a view's outside pixels that change visibly beyond the rim, above which one sees a halo: in a picture of 256
by 256 pixels some 300, a spot of 17 by 17 or a line of one pixel around an object of a third of its width."""
AMPLIFIED = 8
"""How many times as strong a difference is shown."""


def pixels_outside(before: Images, after: Images, coverage: Weights) -> dict[str, Any]:
    """The part of a report about the pixels outside the object's mask.

    Equal pictures give {"psnr": inf, "share_changed": 0, "halo": {"share": 0, "visible": False, ...}}. Without any
    pixel outside, in any view, "psnr" and "share_changed" are NaN.
    """
    counted = OutsidePixels()
    for view in zip(before, after, coverage):
        counted.add(*view)
    return counted.report()


class OutsidePixels:
    """`pixels_outside` of views that come one by one: those of hundreds need not be there together."""

    def __init__(self) -> None:
        self._pixels = self._count = self._changed = 0
        self._squared = 0.0
        self._shares: list[float] = []

    def add(
        self,
        before: Float[Tensor, "height width 3"],
        after: Float[Tensor, "height width 3"],
        coverage: Float[Tensor, "height width"],
    ) -> None:
        """The next view."""
        outside, difference = coverage <= 0.5, after - before
        change, count = difference.abs().amax(-1), int(outside.sum())
        beyond = (change > VISIBLE) & ~_near(~outside)
        self._shares.append(int(beyond.sum()) / max(count, 1))
        self._pixels += outside.numel()
        self._count += count
        self._changed += int((change[outside] > CHANGED).sum())
        self._squared += float((difference.double().square().mean(-1) * outside).sum())

    def report(self) -> dict[str, Any]:
        """As `pixels_outside`."""
        worst = max(range(len(self._shares)), key=self._shares.__getitem__)
        share, count = self._shares[worst], self._count
        return {
            "share_of_pixels": count / self._pixels,
            "psnr": psnr_of_error(self._squared / count) if count else math.nan,
            "share_changed": self._changed / count if count else math.nan,
            "halo": {"share": share, "view": worst, "visible": share > HALO},
        }


def halo_warning(pixels: dict[str, Any], picture: str) -> str:
    """One line for people if a halo can be seen, by `pixels_outside`; else an empty one."""
    halo = pixels["halo"]
    if not halo["visible"]:
        return ""
    return (
        f"Around the object something changed that can be seen (a halo, or new form): {halo['share']:.1%} of the "
        f"pixels outside it in view {halo['view']}, by more than {VISIBLE * 255:.0f} of 255. See {picture}."
    )


def outside_picture(
    before: Images, after: Images, coverage: Weights, columns: int = 4
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Views before, after, and the difference outside the object's mask, `AMPLIFIED` times; the object itself is grey.

    Of more views than columns, those that changed most outside.
    """
    inside = (coverage > 0.5)[..., None]
    difference = (after - before).abs().masked_fill(inside, 0)
    chosen = difference.flatten(1).sum(1).topk(min(columns, len(before))).indices.sort().values
    shown = torch.where(inside, 0.5, (difference * AMPLIFIED).clamp(0, 1))
    views = ", ".join(map(str, chosen.tolist()))
    rows = {
        f"before, views {views}": before,
        "after": after,
        f"change outside the object (grey), {AMPLIFIED} times as strong": shown,
    }
    return labelled_rows({label: images[chosen] for label, images in rows.items()}, columns)


def widened(masks: Shaped[Tensor, "*views height width"], radius: int) -> Shaped[Tensor, "*views height width"]:
    """The largest value within `radius` rows and columns of each pixel; values are 0 or more, or truth values.

    Twice over a line, and each time by windows that double: some 9 maxima a picture instead of the 22,801 of a square
    window of radius 75, which takes minutes a view of 1600 x 1066 on a CPU.
    """
    for axis in (-2, -1):
        lines = masks.transpose(axis, -1)
        lines = torch.cat([edge := lines.new_zeros(*lines.shape[:-1], radius), lines, edge], dim=-1)
        reach = 1
        while reach <= 2 * radius:
            step = min(reach, 2 * radius + 1 - reach)
            lines = torch.maximum(lines[..., :-step], lines[..., step:])
            reach += step
        masks = lines.transpose(axis, -1)
    return masks.contiguous()


def _near(mask: Bool[Tensor, "height width"]) -> Bool[Tensor, "height width"]:
    """The mask widened by the rim."""
    return widened(mask, max(LEAST_RIM, round(RIM * min(mask.shape))))
