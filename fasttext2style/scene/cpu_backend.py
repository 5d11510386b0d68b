"""Differentiable rasterization on the CPU: three autograd functions over the loops of `cpu_kernels`.

Project (3D Gaussians to 2D splats), Shade (spherical harmonics to colours) and Blend (splats to pixels). Arguments
and meaning are gsplat's. Kernels release the GIL and run on a thread pool as wide as `torch.get_num_threads()`:
no second OpenMP runtime beside torch's, and several Python threads (viewer and trainer) may render at once.
Results do not depend on the number of threads.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fasttext2style.scene import cpu_kernels as kernels
from fasttext2style.scene.cpu_kernels import CHANNELS, CHUNK, ROW, TILE

MAX_SH_DEGREE = 3
# Jobs that a backward pass is cut into at least. A constant, so that sums do not depend on the machine.
BACKWARD_JOBS = 16


def rasterize_on_cpu(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    sh_degree: int | None,
    render_mode: str,
    rasterize_mode: str,
    backgrounds: Tensor | None,
    near_plane: float,
    far_plane: float,
    radius_clip: float,
    eps2d: float,
    absgrad: bool,
) -> tuple[Tensor, Tensor, dict]:
    """See `rasterize`, which has checked all arguments."""
    views = len(viewmats)
    antialiased = rasterize_mode == "antialiased"
    limits = (eps2d, near_plane, far_plane, radius_clip)
    radii, means2d, depths, conics, compensations = Project.apply(
        means, quats, scales, viewmats, Ks, width, height, limits, antialiased
    )
    with_color, with_depth = "RGB" in render_mode, "D" in render_mode
    if not with_color:
        colors = means.new_empty(1, len(means), 0)
    elif sh_degree is not None:
        colors = Shade.apply(means, colors, torch.linalg.inv(viewmats)[:, :3, 3].contiguous(), radii, sh_degree)
    elif colors.dim() == 2:
        colors = colors[None]
    backgrounds = means.new_zeros(views, colors.shape[2]) if backgrounds is None or not with_color else backgrounds
    if with_depth:
        backgrounds = torch.cat([backgrounds, backgrounds.new_zeros(views, 1)], dim=-1)

    channels = colors.shape[2] + with_depth
    chunks, splats = [], None
    for start in range(0, channels, CHANNELS):
        stop = min(start + CHANNELS, channels)
        last = with_depth and stop == channels
        some_colors = colors if channels <= CHANNELS else colors[..., start : stop - last].contiguous()
        some_depths = depths if last else None
        if splats is None:
            splats = sort_and_bin(
                radii, means2d, depths, conics, opacities, compensations, some_colors, some_depths, width, height
            )
        expected = last and "ED" in render_mode
        geometry = (means2d, conics, opacities, compensations)
        background = backgrounds[:, start:stop]
        chunks.append(Blend.apply(*geometry, some_colors, some_depths, background, splats, expected, absgrad))
    image = chunks[0][0] if len(chunks) == 1 else torch.cat([chunk for chunk, _ in chunks], dim=-1)
    info = {
        "camera_ids": None,
        "gaussian_ids": None,
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics,
        "opacities": opacities.expand(views, -1) * compensations if antialiased else opacities.expand(views, -1),
        "width": width,
        "height": height,
        "n_cameras": views,
        "tile_size": TILE,
        "tile_width": splats.tiles_x,
        "tile_height": splats.tiles_y,
        "isect_offsets": torch.from_numpy(splats.bin_start[:-1]).view(views, splats.tiles_y, splats.tiles_x),
    }
    return image, chunks[0][1], info


# --- threads and buffers ----------------------------------------------------------------------------------------


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="rasterize")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork: the child starts its own
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _run(kernel: Callable, jobs: int, *arguments) -> None:
    """Do jobs 0..jobs of a kernel, on as many threads as torch uses; four ranges per thread even out the load."""
    threads = min(torch.get_num_threads(), jobs)
    if threads <= 1:
        kernel(0, jobs, *arguments)
        return
    ranges = min(jobs, 4 * threads)
    bounds = [jobs * k // ranges for k in range(ranges + 1)]
    futures = [_pool(threads).submit(kernel, *bounds[k : k + 2], *arguments) for k in range(ranges)]
    for future in futures:
        future.result()


def _chunks(gaussians: int) -> int:
    return -(-gaussians // CHUNK)


def _array(tensor: Tensor | None, dimensions: int) -> np.ndarray:
    """A contiguous view; None becomes an empty array of the same type, for kernels to have one signature."""
    if tensor is None:
        return np.empty((0,) * dimensions, np.float32)
    return tensor.detach().contiguous().numpy()


def _empty(*shape: int) -> np.ndarray:
    """numpy, for it asks for huge pages: a large torch.empty costs a page fault per 4 KiB, each step anew."""
    return np.empty(shape, np.float32)


# --- projection and colours -------------------------------------------------------------------------------------


class Project(torch.autograd.Function):
    """3D Gaussians to radii, means2d, depths, conics and (antialiased, else empty) compensations, per view."""

    @staticmethod
    def forward(ctx, means, quats, scales, viewmats, Ks, width, height, limits, antialiased):
        ctx.set_materialize_grads(False)
        views, gaussians = len(viewmats), len(means)
        eps2d, near, far, radius_clip = limits
        inputs = [_array(tensor, 2) for tensor in (means, quats, scales, viewmats, Ks)]
        radii = np.empty((views, gaussians), np.int32)
        means2d, depths, conics = _empty(views, gaussians, 2), _empty(views, gaussians), _empty(views, gaussians, 3)
        compensations = _empty(views, gaussians) if antialiased else _empty(0, 0)
        _run(
            kernels.project_forward, _chunks(gaussians), *inputs, width, height, eps2d, near, far, radius_clip,
            antialiased, radii, means2d, depths, conics, compensations,
        )  # fmt: skip
        outputs = [torch.from_numpy(array) for array in (radii, means2d, depths, conics, compensations)]
        ctx.save_for_backward(means, quats, scales, viewmats, Ks, outputs[0], outputs[3], outputs[4])
        ctx.size = (width, height, eps2d, antialiased)
        ctx.mark_non_differentiable(outputs[0])
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, _, v_means2d, v_depths, v_conics, v_compensations):
        means, quats, scales, viewmats, Ks, radii, conics, compensations = ctx.saved_tensors
        width, height, eps2d, antialiased = ctx.size
        gaussians = len(means)
        v_means2d = torch.zeros_like(conics)[..., :2] if v_means2d is None else v_means2d
        v_conics = torch.zeros_like(conics) if v_conics is None else v_conics
        v_compensations = torch.zeros_like(compensations) if v_compensations is None else v_compensations
        results = [_empty(gaussians, 3), _empty(gaussians, 4), _empty(gaussians, 3)]
        _run(
            kernels.project_backward, _chunks(gaussians),
            *(_array(tensor, 2) for tensor in (means, quats, scales, viewmats, Ks)),
            width, height, eps2d, antialiased, _array(radii, 2), _array(conics, 3), _array(compensations, 2),
            _array(v_means2d, 3), _array(v_depths, 2), _array(v_conics, 3), _array(v_compensations, 2), *results,
        )  # fmt: skip
        return *(torch.from_numpy(array) for array in results), None, None, None, None, None, None


class Shade(torch.autograd.Function):
    """Spherical harmonics [gaussians, bases, 3] to colours [views, gaussians, 3]; `centers` are camera positions."""

    @staticmethod
    def forward(ctx, means, coefficients, centers, radii, degree):
        inputs = [_array(means, 2), _array(coefficients, 3), _array(centers, 2), _array(radii, 2)]
        colors = _empty(len(centers), len(means), 3)
        _run(kernels.shade_forward, _chunks(len(means)), degree, *inputs, colors)
        colors = torch.from_numpy(colors)
        ctx.save_for_backward(means, coefficients, centers, radii, colors)
        ctx.degree = degree
        return colors

    @staticmethod
    @once_differentiable
    def backward(ctx, v_colors):
        means, coefficients, centers, radii, colors = ctx.saved_tensors
        results = [_empty(*means.shape), _empty(*coefficients.shape)]
        _run(
            kernels.shade_backward, _chunks(len(means)), ctx.degree, _array(means, 2), _array(coefficients, 3),
            _array(centers, 2), _array(radii, 2), _array(colors, 3), _array(v_colors, 3), *results,
        )  # fmt: skip
        return *(torch.from_numpy(array) for array in results), None, None, None


# --- blending ---------------------------------------------------------------------------------------------------


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
            arrays = (_array(colors, 3), _array(depths, 2), self.slot_of_gaussian, self.row_start, self.rows)
            _run(kernels.pack_colors, _chunks(self.slot_of_gaussian.shape[1]), *arrays)
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
    means2d: Tensor,
    depths: Tensor,
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
    radii, means2d, conics = _array(radii, 2), _array(means2d, 3), _array(conics, 3)
    log_opacities = _log_opacities(_array(opacities, 1), _array(compensations, 2))
    # A view is one job of sorting and filling unless there are fewer views than threads. The lists come out the same.
    splits = min(16, -(-torch.get_num_threads() // max(views, 1)))

    counts = np.zeros(views, np.int64)
    slot_of_gaussian = np.empty((views, gaussians), np.int32)
    slot_of_rank = np.empty((views, gaussians), np.int32)
    _run(
        kernels.sort_by_depth, views, radii, means2d, _array(depths, 2).view(np.uint32), log_opacities,
        tiles_x, tiles_y, splits, counts, slot_of_gaussian, slot_of_rank,
    )  # fmt: skip

    row_start = np.cumsum(counts) - counts
    rows = _aligned_rows(int(counts.sum()))
    tile_counts = np.empty((views, splits, splits, tiles_x * tiles_y), np.int32)
    band_counts = np.empty(int(counts.sum()), np.int32)
    band_of_row = np.arange(tiles_y, dtype=np.int32) // _lines_per_band(views, tiles_y)
    touched = np.empty(views * splits, np.float32)
    _run(
        kernels.pack_splats, views * splits, splits, tiles_x, tiles_y, band_of_row, radii, means2d, conics,
        log_opacities, _array(colors, 3), _array(color_depths, 2), slot_of_gaussian, row_start, rows, tile_counts,
        band_counts, touched,
    )  # fmt: skip

    tile_counts = tile_counts.sum(axis=1, dtype=np.int64)  # [views, splits, tiles]
    ends = np.cumsum(tile_counts.transpose(0, 2, 1).ravel())
    cursors = (ends.reshape(views, -1, splits).transpose(0, 2, 1) - tile_counts).copy()
    bin_start = np.append(cursors[:, 0].ravel(), ends[-1:] if len(ends) else 0)
    bins = np.empty(int(bin_start[-1]), np.int32)
    _run(
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


def _aligned_rows(count: int) -> np.ndarray:
    """Buffer of `count` rows that starts on a cache line, so that no row straddles two."""
    buffer = _empty((count + 1) * ROW)
    skip = -(buffer.ctypes.data // 4) % ROW
    return buffer[skip : skip + count * ROW]


class Blend(torch.autograd.Function):
    """Up to four channels of sorted splats to an image [views, height, width, channels] and its alphas.

    `colors` are [1 or views, gaussians, channels], followed by the depth if `depths` are given; with
    `expected_depth` that last channel is divided by alpha.
    """

    @staticmethod
    def forward(
        ctx, means2d, conics, opacities, compensations, colors, depths, backgrounds, splats, expected_depth, absgrad
    ):
        views = len(means2d)
        channels = colors.shape[2] + (depths is not None)
        rows = splats.rows
        splats.use_colors(colors, depths)
        image = _empty(views, splats.height, splats.width, channels)
        alphas = _empty(views, splats.height, splats.width, 1)
        bin_stop = np.empty(len(splats.bin_start) - 1, np.int64)
        _run(
            kernels.blend_forward, len(bin_stop), splats.tiles_x, splats.tiles_y, splats.width, splats.height,
            splats.row_start, rows, splats.bin_start, splats.bins, _array(backgrounds, 2), expected_depth, image,
            alphas, bin_stop,
        )  # fmt: skip
        image, alphas = torch.from_numpy(image), torch.from_numpy(alphas)
        ctx.save_for_backward(means2d, conics, opacities, compensations, colors, depths, backgrounds, image, alphas)
        ctx.settings = (splats, bin_stop, expected_depth, absgrad)
        ctx.set_materialize_grads(False)
        return image, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx, v_image, v_alphas):
        means2d, conics, opacities, compensations, colors, depths, backgrounds, image, alphas = ctx.saved_tensors
        splats, bin_stop, expected_depth, absgrad = ctx.settings
        views, gaussians = means2d.shape[:2]
        v_image = torch.zeros_like(image) if v_image is None else v_image
        splats.use_colors(colors, depths)
        lines = splats.lines_per_band
        bands = -(-splats.tiles_y // lines)
        count = int(splats.band_ends[-1]) if len(splats.band_ends) else 0
        gradients = _aligned_rows(count)
        _run(kernels.clear, _chunks(count), gradients)
        _run(
            kernels.blend_backward, views * bands, bands, lines, splats.tiles_x, splats.tiles_y, splats.width,
            splats.height, splats.row_start, splats.rows, splats.bin_start, bin_stop, splats.bins,
            _array(backgrounds, 2), expected_depth, absgrad, _array(image, 4), _array(alphas, 4), _array(v_image, 4),
            _array(v_alphas, 4), splats.band_ends, gradients,
        )  # fmt: skip
        v_means2d, v_conics = _empty(*means2d.shape), _empty(*conics.shape)
        v_absolute = _empty(*means2d.shape) if absgrad else _empty(0, 0, 0)
        v_colors, v_opacities = _empty(*colors.shape), _empty(gaussians)
        v_depths = _empty(0, 0) if depths is None else _empty(*depths.shape)
        v_compensations = _empty(*compensations.shape)
        _run(
            kernels.collect_gradients, _chunks(gaussians), absgrad, splats.slot_of_gaussian, splats.row_start,
            splats.band_ends, gradients, _array(conics, 3), _array(opacities, 1), _array(compensations, 2), v_means2d,
            v_absolute, v_conics, v_colors, v_depths, v_opacities, v_compensations,
            np.empty(_chunks(gaussians), np.float32),
        )  # fmt: skip
        if absgrad:
            means2d.absgrad = torch.from_numpy(v_absolute)
        v_backgrounds = None
        if ctx.needs_input_grad[6]:
            v_backgrounds = (v_image * (1 - alphas)).sum(dim=(1, 2))
        gradients = [torch.from_numpy(array) for array in (v_means2d, v_conics, v_opacities, v_compensations, v_colors)]
        v_depths = None if depths is None else torch.from_numpy(v_depths)
        return *gradients, v_depths, v_backgrounds, None, None, None
