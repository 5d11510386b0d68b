"""Rasterization on CUDA by gsplat, https://github.com/nerfstudio-project/gsplat: a thin door, and the only one."""

from __future__ import annotations

from torch import Tensor


def rasterize_with_gsplat(
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
    # gsplat on CPU tensors tries to build its kernels, dies half-way and leaves a broken build cache behind.
    assert means.is_cuda, "gsplat only renders CUDA tensors"
    # Imported here: on a CPU nobody needs it, and the first CUDA call may compile for minutes.
    from gsplat import rasterization

    image, alphas, info = rasterization(
        means,
        quats,
        scales,
        opacities,
        colors,
        viewmats,
        Ks,
        width,
        height,
        near_plane=near_plane,
        far_plane=far_plane,
        radius_clip=radius_clip,
        eps2d=eps2d,
        sh_degree=sh_degree,
        packed=False,
        # gsplat appends the depth's background itself where colours are rendered, and only there wants it.
        backgrounds=backgrounds if "RGB" in render_mode else None,
        render_mode=render_mode,  # pyright: ignore[reportArgumentType]
        absgrad=absgrad,
        rasterize_mode=rasterize_mode,  # pyright: ignore[reportArgumentType]
    )
    if info["radii"].dim() == 3:  # since 1.5: one radius per axis
        info["radii"] = info["radii"].max(dim=-1).values
    return image, alphas, info
