"""Whether two views of a surface agree: one view's picture, moved into another by depth, beside the other.

Depths are distances along the viewing axis, as the rasterizer gives them. The measure is that of Lai et al. 2018
("Learning Blind Video Temporal Consistency"), which StyleRF and its successors use with short and long ranges.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras

DEPTH_TOLERANCE = 0.02
"""Relative difference of depths up to which two views see the same surface."""


def warp(
    images: Float[Tensor, "views height width channels"],
    cameras: Cameras,
    depths: Float[Tensor, "views height width"],
    to_cameras: Cameras,
    to_depths: Float[Tensor, "views height width"],
) -> tuple[Float[Tensor, "views height width channels"], Bool[Tensor, "views height width"]]:
    """What each view of `to_cameras` sees, with the colours of its partner in `cameras`, and where that is known.

    Each pixel is lifted by its own depth, projected into the partner and read there bilinearly. It is known where the
    partner has it in its picture and sees the same depth there: what is hidden from the partner is not.
    """
    points = unproject(to_cameras, to_depths)
    seen = torch.einsum("vij,vhwj->vhwi", cameras.viewmats[:, :3, :3], points) + cameras.viewmats[:, None, None, :3, 3]
    depth = seen[..., 2]
    pixels = torch.einsum("vij,vhwj->vhwi", cameras.Ks, seen)[..., :2] / depth.clamp_min(1e-6)[..., None]
    # grid_sample without align_corners has the image's edges, not its outer pixel centres, at -1 and 1: as `Cameras`.
    grid = 2 * pixels / pixels.new_tensor([cameras.width, cameras.height]) - 1
    inside = (grid.abs() < 1).all(-1) & (depth > 1e-6)
    layers = torch.cat([images, depths[..., None]], dim=-1).permute(0, 3, 1, 2)
    warped = F.grid_sample(layers, grid, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)
    same_surface = (warped[..., -1] - depth).abs() < DEPTH_TOLERANCE * depth
    return warped[..., :-1], inside & same_surface


def unproject(cameras: Cameras, depths: Float[Tensor, "views height width"]) -> Float[Tensor, "views height width 3"]:
    """World coordinates of what each pixel's centre sees at its depth."""
    rows = torch.arange(cameras.height, device=depths.device) + 0.5
    columns = torch.arange(cameras.width, device=depths.device) + 0.5
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    rays = torch.einsum("vij,hwj->vhwi", cameras.Ks.inverse(), torch.stack([x, y, torch.ones_like(x)], dim=-1))
    local = rays * depths[..., None] - cameras.viewmats[:, None, None, :3, 3]
    # The inverse of a rotation is its transpose: R^T (x - t).
    return torch.einsum("vji,vhwj->vhwi", cameras.viewmats[:, :3, :3], local)
