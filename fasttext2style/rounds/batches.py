"""What a training step looks at: boxes of views, around the object or at random places."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from fasttext2style.rounds.views import SceneViews
from fasttext2style.styling.views import ViewSampler


class Batches:
    """Batches of boxes of one size, drawn from a seed.

    Without patches: the boxes around the object, every view once per epoch. With patches: squares of `patch` pixels, as
    large as the pictures allow; view and place of each are drawn anew, all alike probable (Instruct-NeRF2NeRF).

    Args:
        train_views: numbers of the views that are trained on.
        views: of the run.
        batch: boxes a step.
        patch: side in pixels; 0 for the boxes around the object.
    """

    def __init__(
        self, train_views: Int[Tensor, " train"], views: SceneViews, batch: int, patch: int, seed: int
    ) -> None:
        self.batch, self._train_views, self._views = batch, train_views, views
        width, height = views.cameras.width, views.cameras.height
        self._side = min(patch, width, height)
        self._places = torch.tensor([width - self._side + 1, height - self._side + 1])
        self._generator = torch.Generator().manual_seed(seed)
        self._sampler = ViewSampler(len(train_views), batch, seed)

    def next(self) -> tuple[Int[Tensor, " batch"], Int[Tensor, "batch 4"]]:
        """View numbers, and their boxes x0, y0, x1, y1 in pixels."""
        if not self._side:
            self._sampler.batch = min(self.batch, len(self._train_views))
            views = self._train_views[self._sampler.next()]
            return views, self._views.boxes[views]
        drawn = torch.randint(len(self._train_views), (self.batch,), generator=self._generator)
        # In float64 a place is at most one in 2^53 off from all alike probable.
        corners = (torch.rand(self.batch, 2, dtype=torch.float64, generator=self._generator) * self._places).long()
        return self._train_views[drawn], torch.cat([corners, corners + self._side], dim=1)
