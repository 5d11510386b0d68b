"""From projected Gaussians to lists of splats per tile: the data between the halves of the CPU rasterizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fasttext2style.scene.cpu import jobs as jobs
from fasttext2style.scene.cpu import kernels as kernels
from fasttext2style.scene.cpu.kernels import TILE

# Jobs that a backward pass is cut into at least. A constant, so that sums do not depend on the machine.
BACKWARD_JOBS = 16


@dataclass
class Splats:
    """Drawn splats of all views, one cache line each, and the list of them that each tile blends front to back."""

    width: int
    height: int
    slot_of_gaussian: np.ndarray
    """[views, gaussians] row within the view's rows (bits 0..25), or -1 if not drawn."""
    row_start: np.ndarray
    """[views] first row of the view."""
    rows: np.ndarray
    """[rows * 16] see `cpu_kernels`; holds everything but colours."""
    bin_start: np.ndarray
    """[views * tiles + 1] where the tile's list starts in `bins`."""
    bins: np.ndarray
    """[intersections] rows within the view."""
    band_ends: np.ndarray
    """[rows] running count of (row, band of tile rows it covers), the places for its gradients."""
    colors: Tensor
    """What the rows' colours were packed from: more than four channels share the rows in turn."""

    @property
    def tiles_x(self) -> int:
        return -(-self.width // TILE)

    @property
    def tiles_y(self) -> int:
        return -(-self.height // TILE)

    def use_colors(self, colors: Tensor, depths: Tensor | None) -> None:
        if self.colors is not colors:
            arrays = (jobs.array(colors, 3), jobs.array(depths, 2), self.slot_of_gaussian, self.row_start, self.rows)
            jobs.run(kernels.pack_colors, jobs.chunks(self.slot_of_gaussian.shape[1]), *arrays)
            self.colors = colors

    @property
    def lines_per_band(self) -> int:
        """Tile rows in a band, the unit of work of the backward pass."""
        return _lines_per_band(len(self.row_start), self.tiles_y)


def _lines_per_band(views: int, tiles_y: int) -> int:
    return -(-tiles_y // min(tiles_y, -(-BACKWARD_JOBS // max(views, 1))))


@torch.no_grad()
def sort_and_bin(
    radii: Tensor,
    depths: Tensor,
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    compensations: Tensor,
    colors: Tensor,
    color_depths: Tensor | None,
    width: int,
    height: int,
) -> Splats:
    """Sort the visible splats of each view by depth, pack them with their (first) colours, and list them by tile."""
    views, gaussians = radii.shape
    tiles_x, tiles_y = -(-width // TILE), -(-height // TILE)
    geometry = (jobs.array(radii, 2), jobs.array(means2d, 3))
    log_opacities = _log_opacities(jobs.array(opacities, 1), jobs.array(compensations, 2))
    # A view is one job of sorting and filling unless there are fewer views than threads. The lists come out the same.
    splits = min(16, -(-torch.get_num_threads() // max(views, 1)))

    counts = np.zeros(views, np.int64)
    slot_of_gaussian = np.empty((views, gaussians), np.int32)
    slot_of_rank = np.empty((views, gaussians), np.int32)
    jobs.run(
        kernels.sort_by_depth, views, *geometry, jobs.array(depths, 2).view(np.uint32), log_opacities,
        tiles_x, tiles_y, splits, counts, slot_of_gaussian, slot_of_rank,
    )  # fmt: skip

    row_start = np.cumsum(counts) - counts
    rows = jobs.aligned_rows(int(counts.sum()))
    tile_counts = np.empty((views, splits, splits, tiles_x * tiles_y), np.int32)
    band_counts = np.empty(int(counts.sum()), np.int32)
    band_of_row = np.arange(tiles_y, dtype=np.int32) // _lines_per_band(views, tiles_y)
    touched = np.empty(views * splits, np.float32)
    jobs.run(
        kernels.pack_splats, views * splits, splits, tiles_x, tiles_y, band_of_row, *geometry,
        jobs.array(conics, 3), log_opacities, jobs.array(colors, 3), jobs.array(color_depths, 2), slot_of_gaussian,
        row_start, rows, tile_counts, band_counts, touched,
    )  # fmt: skip

    tile_counts = tile_counts.sum(axis=1, dtype=np.int64)  # [views, splits, tiles]
    ends = np.cumsum(tile_counts.transpose(0, 2, 1).ravel())
    cursors = (ends.reshape(views, -1, splits).transpose(0, 2, 1) - tile_counts).copy()
    bin_start = np.append(cursors[:, 0].ravel(), ends[-1:] if len(ends) else 0)
    bins = np.empty(int(bin_start[-1]), np.int32)
    jobs.run(
        kernels.fill_bins, views * splits, splits, tiles_x, counts, slot_of_rank, row_start, rows, cursors, bins,
        touched,
    )  # fmt: skip
    band_ends = np.cumsum(band_counts, dtype=np.int32)
    return Splats(width, height, slot_of_gaussian, row_start, rows, bin_start, bins, band_ends, colors)


def _log_opacities(opacities: np.ndarray, compensations: np.ndarray) -> np.ndarray:
    """[1 or views, gaussians], an eighth, as everywhere in the kernels; NaN (not drawn) below zero."""
    compensated = compensations * opacities if len(compensations) else opacities[None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(compensated) * np.float32(0.125)
