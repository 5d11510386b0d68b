"""Rasterization on CUDA by gsplat, https://github.com/nerfstudio-project/gsplat: a thin door, and the only one."""

from __future__ import annotations

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.splats import RasterSettings, Rendered, Splats


def rasterize_with_gsplat(splats: Splats, cameras: Cameras, settings: RasterSettings) -> Rendered:
    """See `rasterize`, which has checked all arguments."""
    # gsplat on CPU tensors tries to build its kernels, dies half-way and leaves a broken build cache behind.
    assert splats.means.is_cuda, "gsplat only renders CUDA tensors"
    # Imported here: on a CPU nobody needs it, and the first CUDA call may compile for minutes.
    from gsplat import rasterization

    image, alphas, info = rasterization(
        *splats,
        cameras.viewmats,
        cameras.Ks,
        cameras.width,
        cameras.height,
        near_plane=settings.near_plane,
        far_plane=settings.far_plane,
        radius_clip=settings.radius_clip,
        eps2d=settings.eps2d,
        sh_degree=settings.sh_degree,
        packed=False,
        # gsplat appends the depth's background itself where colours are rendered, and only there wants it.
        backgrounds=settings.backgrounds if settings.with_color else None,
        render_mode=settings.render_mode,
        absgrad=settings.absgrad,
        rasterize_mode=settings.rasterize_mode,
    )
    if info["radii"].dim() == 3:  # since 1.5: one radius per axis
        info["radii"] = info["radii"].max(dim=-1).values
    return image, alphas, info
