"""Differentiable rasterization on the CPU: three autograd functions over the loops of `cpu_kernels`.

Project (3D Gaussians to 2D splats), Shade (spherical harmonics to colours) and Blend (splats to pixels). Arguments
and meaning are gsplat's. Several Python threads (viewer and trainer) may render at once, and results do not depend on
the number of threads, to the bit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.cpu import jobs as jobs
from fasttext2style.scene.cpu import kernels as kernels
from fasttext2style.scene.cpu.kernels import CHANNELS, TILE
from fasttext2style.scene.cpu.splats import sort_and_bin
from fasttext2style.scene.splats import RasterSettings, Rendered, Splats

_SHADED_AT_ONCE = 65536


def rasterize_on_cpu(splats: Splats, cameras: Cameras, settings: RasterSettings) -> Rendered:
    """See `rasterize`, which has checked all arguments."""
    means, quats, scales, opacities = splats[:4]
    colors: Tensor = splats.colors
    viewmats, width, height, views = cameras.viewmats, cameras.width, cameras.height, len(cameras)
    limits = (settings.eps2d, settings.near_plane, settings.far_plane, settings.radius_clip)
    radii, means2d, depths, conics, compensations = Project.apply(
        means, quats, scales, viewmats, cameras.Ks, width, height, limits, settings.antialiased
    )  # pyright: ignore[reportGeneralTypeIssues]
    with_color, with_depth = settings.with_color, settings.with_depth
    if not with_color:
        colors = means.new_empty(1, len(means), 0)
    elif settings.sh_degree is not None:
        centers = torch.linalg.inv(viewmats)[:, :3, 3].contiguous()
        colors = Shade.apply(means, colors, centers, radii, settings.sh_degree)  # pyright: ignore[reportAssignmentType]
    elif colors.dim() == 2:
        colors = colors[None]
    backgrounds = settings.backgrounds
    backgrounds = means.new_zeros(views, colors.shape[2]) if backgrounds is None or not with_color else backgrounds
    if with_depth:
        backgrounds = torch.cat([backgrounds, backgrounds.new_zeros(views, 1)], dim=-1)

    # In chunks of four channels; the depth is the last of them.
    channels = colors.shape[2] + with_depth
    features = [(colors, depths if with_depth else None)]
    if channels > CHANNELS:
        features = [
            (part.contiguous(), depths if with_depth and part.shape[2] < CHANNELS else None)
            for part in (colors[..., start : start + CHANNELS] for start in range(0, channels, CHANNELS))
        ]
    geometry = (means2d, conics, opacities, compensations)
    binned = sort_and_bin(radii, depths, *geometry, *features[0], width, height)
    chunks = []
    for k, (some_colors, some_depths) in enumerate(features):
        background = backgrounds[:, k * CHANNELS : (k + 1) * CHANNELS]
        expected = some_depths is not None and settings.expected_depth
        chunks.append(Blend.apply(*geometry, some_colors, some_depths, background, binned, expected, settings.absgrad))
    image = chunks[0][0] if len(chunks) == 1 else torch.cat([chunk for chunk, _ in chunks], dim=-1)
    info = {
        "camera_ids": None,
        "gaussian_ids": None,
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics,
        "opacities": opacities * compensations if settings.antialiased else opacities.expand(views, -1),
        "width": width,
        "height": height,
        "n_cameras": views,
        "tile_size": TILE,
        "tile_width": binned.tiles_x,
        "tile_height": binned.tiles_y,
        "isect_offsets": torch.from_numpy(binned.bin_start[:-1]).view(views, binned.tiles_y, binned.tiles_x),
    }
    return image, chunks[0][1], info


@torch.no_grad()
def view_colors(means: Tensor, sh_dc: Tensor, sh_rest: Tensor, viewmats: Tensor, sh_degree: int) -> Tensor:
    """[views, gaussians, 3] the colours that each view sees, as `rasterize` would shade them, without gradients.

    Part by part: the coefficients of a large scene are never joined in one tensor, which is most of the scene again.
    """
    centers = torch.linalg.inv(viewmats)[:, :3, 3].contiguous()
    colors = means.new_empty(len(viewmats), len(means), 3)
    for start in range(0, len(means), _SHADED_AT_ONCE):
        rows = slice(start, start + _SHADED_AT_ONCE)
        coefficients = torch.cat([sh_dc[rows, None], sh_rest[rows]], dim=1)
        seen = torch.ones(len(viewmats), len(coefficients), dtype=torch.int32)
        colors[:, rows] = Shade.apply(means[rows], coefficients, centers, seen, sh_degree)  # pyright: ignore[reportArgumentType]
    return colors


class Project(torch.autograd.Function):
    """3D Gaussians to radii, means2d, depths, conics and (antialiased, else empty) compensations, per view."""

    @staticmethod
    def forward(ctx, means, quats, scales, viewmats, Ks, width, height, limits, antialiased):
        ctx.set_materialize_grads(False)
        views, gaussians = len(viewmats), len(means)
        eps2d, near, far, radius_clip = limits
        inputs = [jobs.array(tensor, 2) for tensor in (means, quats, scales, viewmats, Ks)]
        radii = np.empty((views, gaussians), np.int32)
        means2d, depths, conics = (
            jobs.empty(views, gaussians, 2),
            jobs.empty(views, gaussians),
            jobs.empty(views, gaussians, 3),
        )
        compensations = jobs.empty(views, gaussians) if antialiased else jobs.empty(0, 0)
        jobs.run(
            kernels.project_forward, jobs.chunks(gaussians), *inputs, width, height, eps2d, near, far, radius_clip,
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
        results = [jobs.empty(gaussians, 3), jobs.empty(gaussians, 4), jobs.empty(gaussians, 3)]
        jobs.run(
            kernels.project_backward, jobs.chunks(gaussians),
            *(jobs.array(tensor, 2) for tensor in (means, quats, scales, viewmats, Ks)),
            width, height, eps2d, antialiased, jobs.array(radii, 2), jobs.array(conics, 3),
            jobs.array(compensations, 2), jobs.array(v_means2d, 3), jobs.array(v_depths, 2), jobs.array(v_conics, 3),
            jobs.array(v_compensations, 2), *results,
        )  # fmt: skip
        return *(torch.from_numpy(array) for array in results), None, None, None, None, None, None


class Shade(torch.autograd.Function):
    """Spherical harmonics [gaussians, bases, 3] to colours [views, gaussians, 3]; `centers` are camera positions."""

    @staticmethod
    def forward(ctx, means, coefficients, centers, radii, degree):
        inputs = [jobs.array(means, 2), jobs.array(coefficients, 3), jobs.array(centers, 2), jobs.array(radii, 2)]
        colors = jobs.empty(len(centers), len(means), 3)
        jobs.run(kernels.shade_forward, jobs.chunks(len(means)), degree, *inputs, colors)
        colors = torch.from_numpy(colors)
        ctx.save_for_backward(means, coefficients, centers, radii, colors)
        ctx.degree = degree
        return colors

    @staticmethod
    @once_differentiable
    def backward(ctx, v_colors):
        means, coefficients, centers, radii, colors = ctx.saved_tensors
        results = [jobs.empty(*means.shape), jobs.empty(*coefficients.shape)]
        jobs.run(
            kernels.shade_backward, jobs.chunks(len(means)), ctx.degree, jobs.array(means, 2),
            jobs.array(coefficients, 3), jobs.array(centers, 2), jobs.array(radii, 2), jobs.array(colors, 3),
            jobs.array(v_colors, 3), *results,
        )  # fmt: skip
        return *(torch.from_numpy(array) for array in results), None, None, None


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
        image = jobs.empty(views, splats.height, splats.width, channels)
        alphas = jobs.empty(views, splats.height, splats.width, 1)
        bin_stop = np.empty(len(splats.bin_start) - 1, np.int64)
        jobs.run(
            kernels.blend_forward, len(bin_stop), splats.tiles_x, splats.tiles_y, splats.width, splats.height,
            splats.row_start, rows, splats.bin_start, splats.bins, jobs.array(backgrounds, 2), expected_depth, image,
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
        gradients = jobs.aligned_rows(count)
        jobs.run(kernels.clear, jobs.chunks(count), gradients)
        jobs.run(
            kernels.blend_backward, views * bands, bands, lines, splats.tiles_x, splats.tiles_y, splats.width,
            splats.height, splats.row_start, splats.rows, splats.bin_start, bin_stop, splats.bins,
            jobs.array(backgrounds, 2), expected_depth, absgrad, jobs.array(image, 4), jobs.array(alphas, 4),
            jobs.array(v_image, 4), jobs.array(v_alphas, 4), splats.band_ends, gradients,
        )  # fmt: skip
        v_means2d, v_conics = jobs.empty(*means2d.shape), jobs.empty(*conics.shape)
        v_absolute = jobs.empty(*means2d.shape) if absgrad else jobs.empty(0, 0, 0)
        v_colors, v_opacities = jobs.empty(*colors.shape), jobs.empty(gaussians)
        v_depths = jobs.empty(0, 0) if depths is None else jobs.empty(*depths.shape)
        v_compensations = jobs.empty(*compensations.shape)
        jobs.run(
            kernels.collect_gradients, jobs.chunks(gaussians), absgrad, splats.slot_of_gaussian, splats.row_start,
            splats.band_ends, gradients, jobs.array(conics, 3), jobs.array(opacities, 1),
            jobs.array(compensations, 2), v_means2d, v_absolute, v_conics, v_colors, v_depths, v_opacities,
            v_compensations, jobs.empty(jobs.chunks(gaussians)),
        )  # fmt: skip
        if absgrad:
            means2d.absgrad = torch.from_numpy(v_absolute)
        v_backgrounds = None
        if ctx.needs_input_grad[6]:
            v_backgrounds = (v_image * (1 - alphas)).sum(dim=(1, 2))
        gradients = [torch.from_numpy(array) for array in (v_means2d, v_conics, v_opacities, v_compensations, v_colors)]
        v_depths = None if depths is None else torch.from_numpy(v_depths)
        return *gradients, v_depths, v_backgrounds, None, None, None
