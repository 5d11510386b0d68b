"""A scene before and after an edit, and what its cameras see of both: what everything in this folder is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render, render_values


@dataclass(frozen=True)
class EditedScene:
    """The same scene twice, and which Gaussians are the object in each."""

    before: Gaussians
    after: Gaussians
    object_before: Bool[Tensor, " gaussians_before"]
    object_after: Bool[Tensor, " gaussians_after"]
    foreign_rows: int
    """Gaussians outside the object that were not there before, bit for bit: 0 for an edit that kept to its object."""

    @staticmethod
    def matched(before: Gaussians, after: Gaussians, object_after: Bool[Tensor, " gaussians_after"]) -> EditedScene:
        """Which Gaussians of `before` were the object: the same rows, or, when the object has grown or shrunk, all
        that are not found among those outside the object now.

        Raises:
            ValueError: the selection is of another scene, or the scenes have different spherical harmonics.
        """
        if len(object_after) != len(after):
            raise ValueError(f"The selection has {len(object_after):,} weights, the scene {len(after):,} Gaussians")
        if before.sh_degree != after.sh_degree:
            raise ValueError(
                f"Before has spherical harmonics of degree {before.sh_degree}, after {after.sh_degree}; these are no "
                "two states of one scene."
            )
        rows_before, rows_after = _bits(before), _bits(after.subset(~object_after))
        kept = torch.from_numpy(np.isin(rows_before, rows_after)).to(before.device)
        foreign = int((~np.isin(rows_after, rows_before)).sum())
        return EditedScene(
            before, after, object_after if len(before) == len(after) else ~kept, object_after, foreign_rows=foreign
        )

    def largest_outside_change(self) -> float | None:
        """Largest change of a parameter outside the object; None when rows cannot be compared one by one."""
        if len(self.before) != len(self.after):
            return 0.0 if self.foreign_rows == 0 else None
        outside = ~self.object_after
        before, after = self.before.subset(outside), self.after.subset(outside)
        changes = [(getattr(after, f.name) - getattr(before, f.name)).abs().flatten() for f in fields(Gaussians)]
        return float(torch.cat(changes).max()) if bool(outside.any()) else 0.0


@dataclass(frozen=True)
class Sight:
    """What some cameras see of one scene."""

    cameras: Cameras
    images: Float[Tensor, "views height width 3"]
    coverage: Float[Tensor, "views height width"]
    """Which share of each pixel's colour comes from the object."""
    depths: Float[Tensor, "views height width"]
    """Expected distance along the viewing axis; 0 where nothing is."""

    @staticmethod
    def joined(parts: Sequence[Sight]) -> Sight:
        """One after the other."""
        images, coverage, depths = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("images", "coverage", "depths")
        )
        return Sight(Cameras.concatenated([part.cameras for part in parts]), images, coverage, depths)

    def some(self, views: slice) -> Sight:
        return Sight(self.cameras[views], self.images[views], self.coverage[views], self.depths[views])

    def to(self, device: torch.device | str) -> Sight:
        return Sight(self.cameras.to(device), self.images.to(device), self.coverage.to(device), self.depths.to(device))


@torch.no_grad()
def look(gaussians: Gaussians, is_object: Bool[Tensor, " gaussians"], cameras: Cameras) -> Sight:
    """Render colours, the object's coverage and depths, one view at a time to bound memory."""
    images, coverages, depths = [], [], []
    for view in range(len(cameras)):
        one = cameras[view]
        images.append(render(gaussians, one)[0].clamp(0, 1))
        maps, _, _ = render_values(gaussians, one, is_object.float()[:, None], render_mode="RGB+ED")
        coverages.append(maps[..., 0].clamp(0, 1))
        depths.append(maps[..., 1])
    return Sight(cameras, torch.cat(images), torch.cat(coverages), torch.cat(depths))


def _bits(gaussians: Gaussians) -> np.ndarray:
    """[gaussians] all parameters of each Gaussian as one opaque value: equal only bit for bit."""
    columns = [getattr(gaussians, f.name).detach().float()[:, None].flatten(1) for f in fields(gaussians)]
    table = np.ascontiguousarray(torch.cat(columns, dim=1).cpu().numpy())
    return table.view(np.dtype((np.void, table.shape[1] * table.itemsize)))[:, 0]
