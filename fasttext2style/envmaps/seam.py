"""Whether a panorama has a seam where its left and right edge meet."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def seam_ratio(panorama: Float[Tensor, "height width channels"]) -> float:
    """The mean step across the border of a panorama over the mean step between neighbours elsewhere; 1: no seam.

    1, too, where nothing changes from column to column.
    """
    seam = Seam()
    seam.add(panorama)
    return seam.ratio


class Seam:
    """`seam_ratio` of a panorama that comes in bands of rows."""

    def __init__(self) -> None:
        self._across = self._elsewhere = 0.0

    def add(self, rows: Float[Tensor, "rows width channels"]) -> None:
        steps = (rows - rows.roll(1, dims=1)).abs().sum(dim=(0, 2), dtype=torch.float64)
        self._across += float(steps[0])
        self._elsewhere += float(steps[1:].mean())

    @property
    def ratio(self) -> float:
        return 1.0 if self._elsewhere == 0 else self._across / self._elsewhere
