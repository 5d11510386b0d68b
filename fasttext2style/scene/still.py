"""Gaussians that never change, rendered at every step beside some that do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render, render_splats, splats_of
from fasttext2style.scene.splats import RasterizeMode, RasterSettings, Splats


class StillGaussians:
    """On CUDA they are activated once, and their harmonics, four fifths of a scene, are never copied again.

    Without it a step on a small object of a scene of four million Gaussians writes all of them to memory, twice.
    """

    def __init__(self, gaussians: Gaussians) -> None:
        self.gaussians = gaussians.detach()
        self._splats: Splats | None = None
        if gaussians.device.type == "cuda":
            self._splats, _ = splats_of(self.gaussians)
            harmonics = self._splats.colors
            # The same memory: the scene would be there twice.
            self.gaussians = replace(self.gaussians, sh_dc=harmonics[:, 0], sh_rest=harmonics[:, 1:])

    def __len__(self) -> int:
        return len(self.gaussians)

    def render_behind(
        self,
        moving: Gaussians,
        cameras: Cameras,
        *,
        background: Float[Tensor, " 3"] | None = None,
        rasterize_mode: RasterizeMode = "classic",
    ) -> tuple[Float[Tensor, "views height width 3"], Float[Tensor, "views height width 1"], dict[str, Any]]:
        """`render` of both as one scene; in the info those that move come first."""
        if self._splats is None or len(self) == 0:
            both = Gaussians.concatenated([moving, self.gaussians])
            return render(both, cameras, background=background, rasterize_mode=rasterize_mode)
        from fasttext2style.scene.gsplat_backend import view_colors

        now, degree = splats_of(moving)
        assert degree is not None, "only views that are given choose colours"
        near = RasterSettings().near_plane
        colors = [view_colors(part.means, part.colors, cameras, degree, near) for part in (now, self._splats)]
        means, quats, scales, opacities = (torch.cat(columns) for columns in zip(now[:4], self._splats[:4]))
        splats = Splats(means, quats, scales, opacities, torch.cat(colors, dim=1))
        return render_splats(splats, cameras, background=background, rasterize_mode=rasterize_mode)
