"""A readable twin of the rasterizer: plain torch, every Gaussian against every pixel of each tile, autograd backwards.

In float64 it is the oracle of the tests; in float32 it is the "dense torch tiles" baseline of the benchmark (each
tile then takes only the splats that reach it). Rules are those of gsplat 1.4.0's CUDA kernels, read from their source.
"""

from __future__ import annotations

import torch
from torch import Tensor

TILE = 16


def rasterize_dense(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    sh_degree: int | None = None,
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
    backgrounds: Tensor | None = None,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    find_decided: bool = False,
) -> tuple[Tensor, Tensor, dict]:
    """Same arguments, same meaning and same triple as `fasttext2style.scene.rasterize.rasterize`, in any float type.

    With `find_decided`, info["decided"] [views, height, width] tells the pixels where no splat is so close to a
    threshold (1/255, 0.999, 1e-4) that rounding may decide: there, and only there, implementations must agree.
    """
    images, alphas, infos = [], [], []
    for view, K in zip(viewmats, Ks, strict=True):
        radii, means2d, depths, conics, compensations = project(
            means, quats, scales, view, K, width, height, near_plane, far_plane, radius_clip, eps2d
        )
        view_opacities = opacities * compensations if rasterize_mode == "antialiased" else opacities
        if sh_degree is None:
            features = colors
        else:
            center = torch.linalg.inv(view)[:3, 3]
            features = (harmonics(sh_degree, means - center, colors) + 0.5).clamp_min(0)
        channels = [features] if "RGB" in render_mode else []
        channels += [depths[:, None]] if "D" in render_mode else []
        image, alpha, decided = blend(
            radii, means2d, depths, conics, view_opacities, torch.cat(channels, -1), width, height, find_decided
        )
        if backgrounds is not None and "RGB" in render_mode:
            background = backgrounds[len(images)]
            background = torch.cat([background, background.new_zeros(image.shape[-1] - len(background))])
            image = image + (1 - alpha) * background
        if "ED" in render_mode:
            image = torch.cat([image[..., :-1], image[..., -1:] / alpha.clamp_min(1e-10)], -1)
        images.append(image)
        alphas.append(alpha)
        infos.append(
            {"radii": radii, "means2d": means2d, "depths": depths, "conics": conics, "compensations": compensations}
        )
        if find_decided:
            infos[-1]["decided"] = decided
    return torch.stack(images), torch.stack(alphas), {key: torch.stack([i[key] for i in infos]) for key in infos[0]}


def rotations(quats: Tensor) -> Tensor:
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def project(means, quats, scales, view, K, width, height, near_plane, far_plane, radius_clip, eps2d):
    """One view. Culled rows are zero."""
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    points = means @ view[:3, :3].T + view[:3, 3]
    z = points[:, 2]
    in_range = (z >= near_plane) & (z <= far_plane)
    x, y, z = torch.where(in_range[:, None], points, points.new_tensor([0.0, 0.0, 1.0])).unbind(-1)
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    tx = z * (x / z).clamp(-(cx / fx + margin_x), (width - cx) / fx + margin_x)
    ty = z * (y / z).clamp(-(cy / fy + margin_y), (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    J = torch.stack([fx / z, zero, -fx * tx / z**2, zero, fy / z, -fy * ty / z**2], -1).reshape(-1, 2, 3)
    B = J @ view[:3, :3] @ (rotations(quats) * scales[:, None, :])
    sharp = B @ B.transpose(1, 2)
    covariance = sharp + eps2d * torch.eye(2, dtype=B.dtype)
    a, b, c = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    det = a * c - b * b
    det_sharp = torch.linalg.cross(B[:, 0], B[:, 1]).square().sum(-1)  # Cauchy-Binet
    compensations = (det_sharp / det).sqrt()
    middle = 0.5 * (a + c)
    radii = torch.ceil(3 * (middle + (middle**2 - det).clamp_min(0.01).sqrt()).sqrt()).detach()
    means2d = torch.stack([fx * x / z + cx, fy * y / z + cy], -1)
    u, v = means2d.detach().unbind(-1)
    on_screen = (u + radii > 0) & (u - radii < width) & (v + radii > 0) & (v - radii < height)
    seen = in_range & (det > 0) & (radii > radius_clip) & on_screen
    conics = torch.stack([c, -b, a], -1) / det[:, None]

    def keep(values: Tensor) -> Tensor:
        return torch.where(seen.reshape(-1, *[1] * (values.dim() - 1)), values, torch.zeros_like(values))

    return keep(radii).int(), keep(means2d), keep(z), keep(conics), keep(compensations)


def harmonics(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
    """Real spherical harmonics with the signs of 3DGS, written from the table of the 3DGS reference code."""
    x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
    basis = [torch.full_like(x, 0.28209479177387814)]
    if degree >= 1:
        basis += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree >= 2:
        basis += [
            1.0925484305920792 * x * y, -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * z * z - x * x - y * y),
            -1.0925484305920792 * x * z, 0.5462742152960396 * (x * x - y * y),
        ]  # fmt: skip
    if degree >= 3:
        basis += [
            -0.5900435899266435 * y * (3 * x * x - y * y), 2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * z * z - x * x - y * y),
            0.3731763325901154 * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -0.4570457994644658 * x * (4 * z * z - x * x - y * y),
            1.445305721320277 * z * (x * x - y * y), -0.5900435899266435 * x * (x * x - 3 * y * y),
        ]  # fmt: skip
    return torch.einsum("gk,gkc->gc", torch.stack(basis, -1), coefficients[:, : len(basis)])


def blend(radii, means2d, depths, conics, opacities, features, width, height, find_decided=False):
    """Composite one view tile by tile: a [pixels, splats] matrix of alphas, its running product, a sum."""
    order = torch.argsort(depths, stable=True)
    order = order[(radii[order] > 0) & (opacities[order] >= 1 / 255)]
    # Rows in depth order once, so that a tile only takes a subset.
    rows = torch.cat([means2d, conics, opacities[:, None], features], -1)[order]
    low = torch.floor((means2d - radii[:, None]) / TILE)[order].detach()
    high = torch.ceil((means2d + radii[:, None]) / TILE)[order].detach()
    lines = []
    for tile_y in range(-(-height // TILE)):
        line = []
        in_line = torch.nonzero((low[:, 1] <= tile_y) & (high[:, 1] > tile_y))[:, 0]
        for tile_x in range(-(-width // TILE)):
            hit = in_line[(low[in_line, 0] <= tile_x) & (high[in_line, 0] > tile_x)]
            x = torch.arange(tile_x * TILE, min((tile_x + 1) * TILE, width), dtype=means2d.dtype) + 0.5
            y = torch.arange(tile_y * TILE, min((tile_y + 1) * TILE, height), dtype=means2d.dtype) + 0.5
            line.append(_blend_tile(rows[hit], x, y, find_decided))
        lines.append(torch.cat(line, 1))
    out = torch.cat(lines, 0)
    end = features.shape[1]
    return out[..., :end], 1 - out[..., end : end + 1], out[..., -1] > 0


def _blend_tile(rows: Tensor, x: Tensor, y: Tensor, find_decided: bool) -> Tensor:
    """Features, remaining transmittance and (if asked) decidedness of a tile [lines, columns, features + 1 or 2]."""
    gx, gy, a, b, c, opacity = rows[:, :6].unbind(-1)
    features = rows[:, 6:]
    dx = (gx - x[:, None])[None]  # [1, columns, splats]
    dy = (gy - y[:, None])[:, None]  # [lines, 1, splats]
    sigma = 0.5 * (a * dx**2 + c * dy**2) + b * dx * dy
    free = opacity * torch.exp(-sigma)
    alpha = free.clamp_max(0.999)
    alpha = torch.where((sigma >= 0) & (alpha >= 1 / 255), alpha, torch.zeros_like(alpha))
    after = first_after = torch.cumprod(1 - alpha, -1)
    alpha = torch.where(after > 1e-4, alpha, torch.zeros_like(alpha))  # the stop is exclusive and final
    after = torch.cumprod(1 - alpha, -1)
    before = torch.cat([torch.ones_like(after[..., :1]), after[..., :-1]], -1)
    rest = after[..., -1:] if len(rows) else x.new_ones(len(y), len(x), 1)
    out = [(alpha * before) @ features, rest]
    if find_decided:
        close = ((free * 255 - 1).abs() < 1e-4) | ((free / 0.999 - 1).abs() < 1e-5)
        close |= (first_after / 1e-4 - 1).abs() < 1e-3
        out.append((~close.any(-1, keepdim=True)).to(rest))
    return torch.cat(out, -1)
