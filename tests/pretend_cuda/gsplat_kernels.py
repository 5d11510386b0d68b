"""gsplat 1.4.0's compiled module on the host: its own Python (`rendering`, `_wrapper`, strategies) runs unchanged.

Functions have the names and arguments of gsplat's `csrc/ext.cpp`. They check what its C++ checks (on CUDA, contiguous,
float32), leave the rows of culled Gaussians unwritten where its kernels do (NaN here, anything on a GPU), and call
gsplat's own torch code, or loops of the same algorithm (csrc/rasterize_to_pixels_fwd.cu and _bwd.cu).
"""

from __future__ import annotations

import math
import sys
import types
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from tests.pretend_cuda import device as pretended
from tests.pretend_cuda.device import on_device, on_host

INTEGERS = {
    *("radii", "isect_ids", "flatten_ids", "isect_offsets", "last_ids", "masks", "camera_ids", "gaussian_ids"),
}


def _inputs(**tensors: Tensor | None) -> list[Any]:
    """The same memory for the CPU, checked as gsplat's CHECK_INPUT and data_ptr<float> do."""
    inside = []
    for name, tensor in tensors.items():
        if tensor is None:
            inside.append(None)
            continue
        assert isinstance(tensor, Tensor), f"{name} is no tensor"
        if not tensor.is_cuda:
            raise RuntimeError(f"{name} must be a CUDA tensor")
        if not tensor.is_contiguous():
            raise RuntimeError(f"{name} must be contiguous")
        if name not in INTEGERS and tensor.dtype != torch.float32:
            raise RuntimeError(f"{name}: expected scalar type Float but found {tensor.dtype}")
        inside.append(on_host(tensor.detach()))
    return inside


def _told(name: str) -> None:
    for hook in pretended.hooks:
        hook(f"gsplat::{name}", {})


class CameraModelType:
    PINHOLE, ORTHO, FISHEYE = range(3)


PINHOLE, ORTHO, FISHEYE = range(3)  # gsplat looks for these in the module


# --- projection, colours ---------------------------------------------------------------------------------------------


def _project(means, quats, scales, viewmats, Ks, width, height, eps2d, near, far, compensations):
    from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci

    covars, _ = _quat_scale_to_covar_preci(quats, scales, True, False, triu=False)
    return _fully_fused_projection(means, covars, viewmats, Ks, width, height, eps2d, near, far, compensations)


def fully_fused_projection_fwd(
    means, covars, quats, scales, viewmats, Ks, width, height, eps2d, near, far, clip, calc_compensations, model
):  # fmt: skip
    assert covars is None and model == PINHOLE
    _told("fully_fused_projection_fwd")
    geometry = _inputs(means=means, quats=quats, scales=scales, viewmats=viewmats, Ks=Ks)
    with torch.no_grad():
        radii, *rest, compensations = _project(*geometry, width, height, eps2d, near, far, True)
        radii[radii <= clip] = 0
        for tensor in rest:
            tensor[radii == 0] = math.nan  # torch::empty there
        compensations = torch.where(radii == 0, 0.0, compensations) if calc_compensations else torch.empty(0)
    return tuple(on_device(tensor.contiguous()) for tensor in (radii, *rest, compensations))


def fully_fused_projection_bwd(
    means, covars, quats, scales, viewmats, Ks, width, height, eps2d, model, radii, conics, compensations, v_means2d,
    v_depths, v_conics, v_compensations, viewmats_need_grad,
):  # fmt: skip
    assert covars is None and not viewmats_need_grad
    *geometry, viewmats, Ks = _inputs(means=means, quats=quats, scales=scales, viewmats=viewmats, Ks=Ks)
    (radii,) = _inputs(radii=radii)
    seeds = _inputs(v_means2d=v_means2d, v_depths=v_depths, v_conics=v_conics, v_compensations=v_compensations)
    with torch.enable_grad():
        geometry = [tensor.clone().requires_grad_() for tensor in geometry]
        _, *results = _project(*geometry, viewmats, Ks, width, height, eps2d, 0.01, 1e10, True)
        seen = radii > 0
        pairs = [(result, seed) for result, seed in zip(results, seeds) if seed is not None]
        loss = sum(((result[seen] * seed[seen]).sum() for result, seed in pairs), torch.zeros(()))
        gradients = torch.autograd.grad(loss, geometry, allow_unused=True)
    v_means, v_quats, v_scales = (
        on_device(torch.zeros_like(tensor) if gradient is None else gradient.nan_to_num(0, 0, 0))
        for tensor, gradient in zip(geometry, gradients)
    )
    return v_means, None, v_quats, v_scales, None


def compute_sh_fwd(degree, directions, coefficients, masks):
    from gsplat.cuda._torch_impl import _spherical_harmonics

    directions, coefficients, masks = _inputs(directions=directions, coefficients=coefficients, masks=masks)
    with torch.no_grad():
        colors = _spherical_harmonics(degree, directions, coefficients)
        if masks is not None:
            colors[~masks] = math.nan
    return on_device(colors)


def compute_sh_bwd(bases, degree, directions, coefficients, masks, v_colors, want_directions):
    from gsplat.cuda._torch_impl import _spherical_harmonics

    tensors = _inputs(directions=directions, coefficients=coefficients, masks=masks, v_colors=v_colors)
    directions, coefficients, masks, v_colors = tensors
    with torch.enable_grad():
        directions, coefficients = directions.clone().requires_grad_(), coefficients.clone().requires_grad_()
        colors = _spherical_harmonics(degree, directions, coefficients)
        if masks is not None:
            v_colors = torch.where(masks[..., None], v_colors, 0.0)
        gradients = torch.autograd.grad((colors * v_colors).sum(), (directions, coefficients), allow_unused=True)
    v_directions = torch.zeros_like(directions) if gradients[0] is None else gradients[0]
    return on_device(gradients[1]), on_device(v_directions) if want_directions else None


# --- tiles -----------------------------------------------------------------------------------------------------------


@numba.njit(cache=True)
def _count(means2d, radii, tile, tw, th, out):
    for i in range(len(radii)):
        if radii[i] <= 0:
            continue
        r, x, y = radii[i] / tile, means2d[i, 0] / tile, means2d[i, 1] / tile
        x0, x1 = min(max(0, math.floor(x - r)), tw), min(max(0, math.ceil(x + r)), tw)
        y0, y1 = min(max(0, math.floor(y - r)), th), min(max(0, math.ceil(y + r)), th)
        out[i] = (x1 - x0) * (y1 - y0)


@numba.njit(cache=True)
def _fill(means2d, radii, bits, n, tile, tw, th, tile_bits, ids, flat):
    at = 0
    for i in range(len(radii)):
        if radii[i] <= 0:
            continue
        r, x, y = radii[i] / tile, means2d[i, 0] / tile, means2d[i, 1] / tile
        x0, x1 = min(max(0, math.floor(x - r)), tw), min(max(0, math.ceil(x + r)), tw)
        y0, y1 = min(max(0, math.floor(y - r)), th), min(max(0, math.ceil(y + r)), th)
        for b in range(y0, y1):
            for a in range(x0, x1):
                ids[at] = (np.int64(i // n) << (32 + tile_bits)) | (np.int64(b * tw + a) << 32) | np.int64(bits[i])
                flat[at] = i
                at += 1


def isect_tiles(means2d, radii, depths, camera_ids, gaussian_ids, cameras, tile, tiles_x, tiles_y, sort, double_buffer):
    """Which splats touch which tiles, nearest first: a key of camera, tile and the bits of the depth."""
    _told("isect_tiles")  # here the real one waits for the device: how many there are decides how much memory is made
    means2d, radii, depths = _inputs(means2d=means2d, radii=radii, depths=depths)
    assert radii.dtype == torch.int32, radii.dtype
    gaussians, tile_bits = max(means2d.shape[1], 1), math.floor(math.log2(tiles_x * tiles_y)) + 1
    assert tile_bits + math.floor(math.log2(cameras)) + 1 <= 32
    places, sizes = means2d.reshape(-1, 2).numpy(), radii.flatten().numpy()
    counts = np.zeros(len(sizes), np.int32)
    _count(places, sizes, tile, tiles_x, tiles_y, counts)
    keys, splats = np.zeros(counts.sum(), np.int64), np.zeros(counts.sum(), np.int32)
    depth_bits = depths.flatten().numpy().view(np.uint32)
    _fill(places, sizes, depth_bits, gaussians, tile, tiles_x, tiles_y, tile_bits, keys, splats)
    order = np.argsort(keys, kind="stable")
    found = (
        torch.from_numpy(counts).reshape(radii.shape),
        torch.from_numpy(keys[order]),
        torch.from_numpy(splats[order]),
    )
    return tuple(on_device(tensor) for tensor in found)


def isect_offset_encode(isect_ids, C, tw, th):
    """Where the splats of each tile begin."""
    (i,) = _inputs(isect_ids=isect_ids)
    tile_bits = math.floor(math.log2(tw * th)) + 1
    keys = (np.arange(C)[:, None] << tile_bits | np.arange(tw * th)[None]).ravel()
    found = np.searchsorted(i.numpy() >> 32, keys).astype(np.int32)
    return on_device(torch.from_numpy(found).reshape(C, th, tw))


@numba.njit(cache=True, nogil=True)
def _forward(xy, conics, colors, opac, bg, has_bg, W, H, tile, offsets, flat, out, alphas, last):
    C, th, tw = offsets.shape
    D = colors.shape[1]
    for c in range(C):
        for i in range(H):
            for j in range(W):
                t = (c * th + i // tile) * tw + j // tile
                lo = offsets.ravel()[t]
                hi = offsets.ravel()[t + 1] if t + 1 < C * th * tw else len(flat)
                T, cur = np.float32(1), 0
                for k in range(lo, hi):
                    g = flat[k]
                    dx, dy = xy[g, 0] - (j + np.float32(0.5)), xy[g, 1] - (i + np.float32(0.5))
                    s = np.float32(0.5) * (conics[g, 0] * dx * dx + conics[g, 2] * dy * dy) + conics[g, 1] * dx * dy
                    a = min(np.float32(0.999), opac[g] * np.exp(-s))
                    if s < 0 or a < np.float32(1 / 255):
                        continue
                    nT = T * (1 - a)
                    if nT <= 1e-4:
                        break
                    for d in range(D):
                        out[c, i, j, d] += colors[g, d] * a * T
                    T, cur = nT, k
                alphas[c, i, j, 0] = 1 - T
                last[c, i, j] = cur
                if has_bg:
                    for d in range(D):
                        out[c, i, j, d] += T * bg[c, d]


@numba.njit(cache=True, nogil=True)
def _backward(
    xy, conics, colors, opac, bg, has_bg, W, H, tile, offsets, flat, alphas, last, vc, va, g_xy,
    g_abs, g_con, g_col, g_op,
):  # fmt: skip
    C, th, tw = offsets.shape
    D = colors.shape[1]
    buf = np.zeros(D, np.float32)
    for c in range(C):
        for i in range(H):
            for j in range(W):
                t = (c * th + i // tile) * tw + j // tile
                lo = offsets.ravel()[t]
                hi = offsets.ravel()[t + 1] if t + 1 < C * th * tw else len(flat)
                Tf = 1 - alphas[c, i, j, 0]
                T = Tf
                buf[:] = 0
                for k in range(min(last[c, i, j], hi - 1), lo - 1, -1):
                    g = flat[k]
                    dx, dy = xy[g, 0] - (j + np.float32(0.5)), xy[g, 1] - (i + np.float32(0.5))
                    s = np.float32(0.5) * (conics[g, 0] * dx * dx + conics[g, 2] * dy * dy) + conics[g, 1] * dx * dy
                    vis = np.exp(-s)
                    a = min(np.float32(0.999), opac[g] * vis)
                    if s < 0 or a < np.float32(1 / 255):
                        continue
                    ra = 1 / (1 - a)
                    T *= ra
                    fac = a * T
                    v_a = Tf * ra * va[c, i, j, 0]
                    for d in range(D):
                        g_col[g, d] += fac * vc[c, i, j, d]
                        v_a += (colors[g, d] * T - buf[d] * ra) * vc[c, i, j, d]
                        if has_bg:
                            v_a -= Tf * ra * bg[c, d] * vc[c, i, j, d]
                    if opac[g] * vis <= 0.999:
                        v_s = -opac[g] * vis * v_a
                        g_con[g, 0] += 0.5 * v_s * dx * dx
                        g_con[g, 1] += v_s * dx * dy
                        g_con[g, 2] += 0.5 * v_s * dy * dy
                        vx, vy = (
                            v_s * (conics[g, 0] * dx + conics[g, 1] * dy),
                            v_s * (conics[g, 1] * dx + conics[g, 2] * dy),
                        )
                        g_xy[g, 0] += vx
                        g_xy[g, 1] += vy
                        g_abs[g, 0] += abs(vx)
                        g_abs[g, 1] += abs(vy)
                        g_op[g] += vis * v_a
                    for d in range(D):
                        buf[d] += colors[g, d] * fac


def _rows(*tensors: Tensor) -> list[np.ndarray]:
    return [np.ascontiguousarray(tensor.reshape(-1, tensor.shape[-1]).numpy()) for tensor in tensors]


def rasterize_to_pixels_fwd(
    means2d, conics, colors, opacities, backgrounds, masks, width, height, tile, isect_offsets, flatten_ids
):  # fmt: skip
    assert masks is None
    _told("rasterize_to_pixels_fwd")
    means2d, conics, colors, opacities = _inputs(means2d=means2d, conics=conics, colors=colors, opacities=opacities)
    behind, offsets, splats = _inputs(backgrounds=backgrounds, isect_offsets=isect_offsets, flatten_ids=flatten_ids)
    views, channels = len(offsets), colors.shape[-1]
    image, alphas = (
        np.zeros((views, height, width, channels), np.float32),
        np.zeros((views, height, width, 1), np.float32),
    )
    last = np.zeros((views, height, width), np.int32)
    background = np.zeros((views, channels), np.float32) if behind is None else behind.numpy()
    _forward(
        *_rows(means2d, conics, colors), opacities.flatten().numpy(), background, behind is not None, width, height,
        tile, offsets.numpy(), splats.numpy(), image, alphas, last,
    )  # fmt: skip
    return tuple(on_device(torch.from_numpy(array)) for array in (image, alphas, last))


def rasterize_to_pixels_bwd(
    means2d, conics, colors, opacities, backgrounds, masks, width, height, tile, isect_offsets, flatten_ids, alphas,
    last_ids, v_colors, v_alphas, absgrad,
):  # fmt: skip
    assert masks is None
    means2d, conics, colors, opacities = _inputs(means2d=means2d, conics=conics, colors=colors, opacities=opacities)
    behind, offsets, splats = _inputs(backgrounds=backgrounds, isect_offsets=isect_offsets, flatten_ids=flatten_ids)
    alphas, last, v_colors, v_alphas = _inputs(alphas=alphas, last_ids=last_ids, v_colors=v_colors, v_alphas=v_alphas)
    background = np.zeros((len(offsets), colors.shape[-1]), np.float32) if behind is None else behind.numpy()
    shapes = [means2d.shape, means2d.shape, conics.shape, colors.shape, opacities.shape]
    geometry = _rows(means2d, conics, colors)
    like = [geometry[0], geometry[0], geometry[1], geometry[2], opacities.flatten().numpy()]
    gradients = [np.zeros_like(array) for array in like]
    _backward(
        *geometry, opacities.flatten().numpy(), background, behind is not None, width, height, tile, offsets.numpy(),
        splats.numpy(), alphas.numpy(), last.numpy(), v_colors.numpy(), v_alphas.numpy(), *gradients,
    )  # fmt: skip
    v_means2d, v_absolute, *others = (
        on_device(torch.from_numpy(array).reshape(shape)) for array, shape in zip(gradients, shapes)
    )
    return v_absolute if absgrad else torch.empty(0, device="cuda"), v_means2d, *others


def install() -> None:
    """Let gsplat find this module where its compiled one would be."""
    import gsplat.cuda

    backend = types.ModuleType("gsplat.cuda._backend")
    backend._C = sys.modules[__name__]
    sys.modules["gsplat.cuda._backend"] = gsplat.cuda._backend = backend
