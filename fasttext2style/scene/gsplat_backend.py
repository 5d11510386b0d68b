"""Rasterization on CUDA by gsplat, https://github.com/nerfstudio-project/gsplat: a thin door, and the only one."""

from __future__ import annotations

import torch
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.splats import RasterSettings, Rendered, Splats


def rasterize_with_gsplat(splats: Splats, cameras: Cameras, settings: RasterSettings) -> Rendered:
    """See `rasterize`, which has checked all arguments."""
    # gsplat on CPU tensors tries to build its kernels, dies half-way and leaves a broken build cache behind.
    assert splats.means.is_cuda, "gsplat only renders CUDA tensors"
    # Imported here: on a CPU nobody needs it, and the first CUDA call may compile for minutes.
    from gsplat import rasterization

    colors, degree = splats.colors, settings.sh_degree
    if degree is not None:
        # Depth alone needs no colours, but gsplat asks for some.
        colors = splats.means.detach()
        if settings.with_color:
            colors = view_colors(splats.means, splats.colors, cameras, degree, settings.near_plane)
    return rasterization(
        *splats[:4],
        colors,
        cameras.viewmats,
        cameras.Ks,
        cameras.width,
        cameras.height,
        near_plane=settings.near_plane,
        far_plane=settings.far_plane,
        radius_clip=settings.radius_clip,
        eps2d=settings.eps2d,
        packed=False,
        # gsplat appends the depth's background itself where colours are rendered, and only there wants it.
        backgrounds=settings.backgrounds if settings.with_color else None,
        render_mode=settings.render_mode,
        absgrad=settings.absgrad,
        rasterize_mode=settings.rasterize_mode,
    )


def view_colors(means: Tensor, coefficients: Tensor, cameras: Cameras, degree: int, near_plane: float) -> Tensor:
    """[views, gaussians, 3] what each view sees of harmonics [gaussians, bases, 3]; differentiable in both.

    As `gsplat.rasterization` does it, but view by view: it would copy all coefficients for each view, and once more for
    their gradients (4 GiB for 4 views of 2 million Gaussians), and its inverse of the cameras waits for the device.
    """
    from gsplat.cuda._wrapper import spherical_harmonics

    seen = []
    for center, axis in zip(cameras.centers, cameras.directions):
        directions = means - center
        # What lies behind is never drawn, and in the camera's own place it has no direction to differentiate.
        in_front = directions.detach() @ axis > near_plane / 2
        seen.append(spherical_harmonics(degree, directions, coefficients, in_front))
    return torch.clamp_min(torch.stack(seen) + 0.5, 0.0)
