"""Rendering a scene: one call, the same on CUDA (gsplat) and on a CPU (our own compiled loops).

Images are [views, height, width, channels], sRGB in [0, 1] if the colours are; cameras are OpenCV (x right, y down,
z forward), `viewmats` go from world to camera; quaternions are wxyz and need not be normalised.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.splats import RasterizeMode, RasterSettings, Rendered, RenderMode, Splats

logger = logging.getLogger(__name__)

MAX_SH_DEGREE = 3
# Gradients that `contributions` keeps at a time: (views in a batch) * (Gaussians), about 0.4 KB each.
CONTRIBUTION_BATCH = 1_000_000
# Pixels that it looks at at a time, in all views of a batch.
CONTRIBUTION_PIXELS = 64_000_000
# Gaussians that are prepared for one picture each, at a time: some 150 bytes each.
SPLATS_AT_ONCE = 8_000_000


def rasterize(
    means: Tensor,  # [gaussians, 3]; plain types: shapes are checked below, with messages for users
    quats: Tensor,  # [gaussians, 4]
    scales: Tensor,  # [gaussians, 3]
    opacities: Tensor,  # [gaussians]
    colors: Tensor,  # [gaussians, bases, 3], [gaussians, channels] or [views, gaussians, channels]
    viewmats: Tensor,  # [views, 4, 4]
    Ks: Tensor,  # [views, 3, 3]
    width: int,
    height: int,
    *,
    sh_degree: int | None = None,
    render_mode: RenderMode = "RGB",
    rasterize_mode: RasterizeMode = "classic",
    backgrounds: Tensor | None = None,  # [views, channels]
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    absgrad: bool = False,
    backend: str = "auto",
) -> tuple[Float[Tensor, "views {height} {width} _"], Float[Tensor, "views {height} {width} 1"], dict[str, Any]]:
    """Render 3D Gaussians (Kerbl et al. 2023), with the arguments and the meaning of `gsplat.rasterization`.

    `scales` and `opacities` are activated (exp and sigmoid are the caller's; an opacity above 1.5 counts as broken
    and is not drawn by the CPU backend). `colors` are spherical harmonics [gaussians, bases, 3] if `sh_degree` is
    given, else any number of channels per Gaussian, or per view and Gaussian. Depth ("D": accumulated, "ED":
    expected) is the last channel of the image, without background. "antialiased" scales opacities as Mip-Splatting.

    The dict is that of gsplat with `packed=False`: `radii` [views, gaussians] int32, 0 where culled; `means2d`
    [views, gaussians, 2] (`retain_grad()` works; with `absgrad`, backward sets its `.absgrad`); `depths`, `conics`,
    `opacities`, `width`, `height`, `n_cameras`: what gsplat's strategies read.

    "auto" takes gsplat for tensors on CUDA and the CPU backend for tensors on the CPU. Both are differentiable in
    means, quats, scales, opacities, colors and backgrounds; not in cameras.

    Raises:
        ValueError: shapes, types or devices that do not fit, with what was expected and what came.
    """
    splats, cameras = Splats(means, quats, scales, opacities, colors), Cameras(viewmats, Ks, width, height)
    settings = RasterSettings(
        sh_degree, render_mode, rasterize_mode, backgrounds, near_plane, far_plane, radius_clip, eps2d, absgrad
    )
    return rasterize_splats(splats, cameras, settings, backend)


def rasterize_splats(splats: Splats, cameras: Cameras, settings: RasterSettings, backend: str = "auto") -> Rendered:
    """As `rasterize`, with its arguments in three; everything that is rendered comes through here."""
    _check_tensors(splats, cameras, settings)
    _check_options(splats, cameras, settings)
    if _backend_for(splats.means, backend) == "gsplat":
        from fasttext2style.scene.gsplat_backend import rasterize_with_gsplat

        return rasterize_with_gsplat(splats, cameras, settings)
    from fasttext2style.scene.cpu.backend import rasterize_on_cpu

    _tell_once_that_the_cpu_renders()
    return rasterize_on_cpu(splats, cameras, settings)


def splats_of(
    gaussians: Gaussians, cameras: Cameras | None = None, sh_degree: int | None = None
) -> tuple[Splats, int | None]:
    """What `render_splats` takes of a scene; `sh_degree` None uses all harmonics that the scene has.

    Who gives the cameras may get colours of one view instead of harmonics, and then no degree.
    """
    degree = gaussians.sh_degree if sh_degree is None else sh_degree
    if cameras is not None and len(cameras) == 1 and gaussians.device.type == "cpu" and not torch.is_grad_enabled():
        from fasttext2style.scene.cpu.backend import view_colors

        # Saves a copy of all harmonics, most of the scene.
        seen = gaussians.detach()
        colors, degree = view_colors(seen.means, seen.sh_dc, seen.sh_rest, cameras.viewmats, degree)[0], None
    else:
        colors = gaussians.sh
    return Splats(gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colors), degree


def render_splats(
    splats: Splats,
    cameras: Cameras,
    *,
    background: Float[Tensor, " 3"] | None = None,
    render_mode: RenderMode = "RGB",
    rasterize_mode: RasterizeMode = "classic",
    sh_degree: int | None = None,
    absgrad: bool = False,
) -> tuple[Float[Tensor, "views height width channels"], Float[Tensor, "views height width 1"], dict[str, Any]]:
    """Render as all cameras see it; `sh_degree` says that colours are harmonics. See `rasterize` for the rest."""
    backgrounds = None if background is None else background.expand(len(cameras), 3)
    settings = RasterSettings(sh_degree, render_mode, rasterize_mode, backgrounds, absgrad=absgrad)
    return rasterize_splats(splats, cameras, settings)


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    background: Float[Tensor, " 3"] | None = None,
    render_mode: RenderMode = "RGB",
    rasterize_mode: RasterizeMode = "classic",
    sh_degree: int | None = None,
    absgrad: bool = False,
) -> tuple[Float[Tensor, "views height width channels"], Float[Tensor, "views height width 1"], dict[str, Any]]:
    """Render a scene as all cameras see it; `sh_degree` None uses all harmonics that the scene has."""
    splats, degree = splats_of(gaussians, cameras, sh_degree)
    return render_splats(
        splats,
        cameras,
        background=background,
        render_mode=render_mode,
        rasterize_mode=rasterize_mode,
        sh_degree=degree,
        absgrad=absgrad,
    )


def render_values(
    gaussians: Gaussians,
    cameras: Cameras,
    values: Float[Tensor, "gaussians values"],
    *,
    render_mode: RenderMode = "RGB",
    rasterize_mode: RasterizeMode = "classic",
) -> tuple[Float[Tensor, "views height width channels"], Float[Tensor, "views height width 1"], dict[str, Any]]:
    """Render values in the place of colours: weights of a selection give its share of each pixel's colour."""
    splats = Splats(gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, values)
    return render_splats(splats, cameras, render_mode=render_mode, rasterize_mode=rasterize_mode)


def views_at_once(gaussians: Gaussians, most: int) -> int:
    """In batches of how many views a scene is rendered: `most`, or as few as its size allows."""
    return max(1, min(most, SPLATS_AT_ONCE // max(len(gaussians), 1)))


def contributions(
    gaussians: Gaussians, cameras: Cameras, masks: Float[Tensor, "views height width classes"]
) -> Float[Tensor, "gaussians classes"]:
    """How much each Gaussian shows inside each mask: the sum over views and pixels of alpha * T * mask.

    The derivative of sum(mask * image) by the colour of a Gaussian is exactly that sum, so it is read off one
    backward pass through an image of zero colours. With masks of one, the sum over Gaussians is the sum of alpha.
    Views are taken in batches to bound memory; the masks may lie on the CPU.

    Raises:
        ValueError: masks of another number of views or another size than the cameras.
    """
    expected = (len(cameras), cameras.height, cameras.width)
    if tuple(masks.shape[:3]) != expected:
        raise ValueError(
            f"masks must be [views, height, width, classes] = {(*expected, 'classes')}, got {tuple(masks.shape)}"
        )
    return contributions_to(gaussians, cameras, masks.shape[3], lambda views: masks[views])


def contributions_to(
    gaussians: Gaussians,
    cameras: Cameras,
    classes: int,
    masks_of: Callable[[slice], Float[Tensor, "views height width classes"]],
) -> Float[Tensor, "gaussians classes"]:
    """`contributions` to masks that are made when their views' turn comes: those of all views may be gigabytes."""
    count = len(gaussians)
    sums = gaussians.means.new_zeros(count, classes)
    batch = min(CONTRIBUTION_BATCH // max(count, 1), CONTRIBUTION_PIXELS // (cameras.height * cameras.width))
    gaussians = gaussians.detach()
    for start in range(0, len(cameras), max(1, batch)):
        views = slice(start, start + max(1, batch))
        colors = sums.new_zeros(count, classes).requires_grad_()
        with torch.enable_grad():
            image, _, _ = render_values(gaussians, cameras[views], colors)
            sums += torch.autograd.grad(image, colors, masks_of(views).to(image))[0]
    return sums


@functools.cache
def _tell_once_that_the_cpu_renders() -> None:
    logger.info("Rendering on the CPU. Its loops are compiled at first use (some 15 s, once per machine).")


def _backend_for(means: Tensor, backend: str) -> Literal["gsplat", "cpu"]:
    device = means.device.type
    if backend not in ("auto", "gsplat", "cpu"):
        raise ValueError(f"backend must be 'auto', 'gsplat' or 'cpu', got {backend!r}")
    if device not in ("cuda", "cpu"):
        raise ValueError(f"Gaussians are on {device!r}; move them to 'cuda' (rendered by gsplat) or 'cpu'")
    needed = "gsplat" if device == "cuda" else "cpu"
    if backend not in ("auto", needed):
        raise ValueError(f"backend {backend!r} cannot render tensors on {device!r}; move them or use backend='auto'")
    return needed


def _check_tensors(splats: Splats, cameras: Cameras, settings: RasterSettings) -> None:
    means, colors, sh_degree = splats.means, splats.colors, settings.sh_degree
    count, views = len(means), len(cameras)
    tensors = splats._asdict() | {"viewmats": cameras.viewmats, "Ks": cameras.Ks}
    shapes = {"means": (count, 3), "quats": (count, 4), "scales": (count, 3), "opacities": (count,)}
    for name, expected in shapes.items():
        if tuple(tensors[name].shape) != expected:
            raise ValueError(f"{name} must have shape {list(expected)}, got {list(tensors[name].shape)}")
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise ValueError(f"{name} must be float32, got {tensor.dtype}; convert with .float()")
        if tensor.device != means.device:
            raise ValueError(f"{name} is on {tensor.device} but means are on {means.device}; move all to one device")
    if sh_degree is None:
        if tuple(colors.shape[:-1]) not in ((count,), (views, count)) or colors.shape[-1] == 0:
            raise ValueError(
                f"colors must be [{count}, channels] or [{views}, {count}, channels] when sh_degree is None, "
                f"got {list(colors.shape)}; give sh_degree for spherical harmonics"
            )
    elif not 0 <= sh_degree <= MAX_SH_DEGREE:
        raise ValueError(f"sh_degree must be 0 to {MAX_SH_DEGREE}, got {sh_degree}")
    elif colors.dim() != 3 or len(colors) != count or colors.shape[2] != 3 or colors.shape[1] < (sh_degree + 1) ** 2:
        raise ValueError(
            f"colors must be [{count}, bases >= {(sh_degree + 1) ** 2}, 3] for sh_degree {sh_degree}, "
            f"got {list(colors.shape)}"
        )


def _check_options(splats: Splats, cameras: Cameras, settings: RasterSettings) -> None:
    for name, choices in (("render_mode", get_args(RenderMode)), ("rasterize_mode", get_args(RasterizeMode))):
        if getattr(settings, name) not in choices:
            raise ValueError(f"{name} must be {' or '.join(choices)}, got {getattr(settings, name)!r}")
    if not settings.near_plane > 0:
        raise ValueError(f"near_plane must be above 0, got {settings.near_plane}")
    if cameras.viewmats.requires_grad or cameras.Ks.requires_grad:
        raise ValueError("cameras are not differentiable here; detach viewmats and Ks")
    features = 3 if settings.sh_degree is not None else splats.colors.shape[-1]
    channels = settings.with_color * features + settings.with_depth
    if settings.absgrad and splats.means.device.type == "cpu" and channels > 4:
        raise ValueError("absgrad works for at most 4 channels on the CPU; render further features in another call")
    backgrounds = settings.backgrounds
    if backgrounds is not None and settings.with_color:
        expected, device = (len(cameras), features), splats.means.device
        if tuple(backgrounds.shape) != expected or backgrounds.device != device:
            raise ValueError(
                f"backgrounds must be {list(expected)} on {device}, "
                f"got {list(backgrounds.shape)} on {backgrounds.device}"
            )
