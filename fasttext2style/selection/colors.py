"""Selecting by colour, with the eyedropper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.files.ply import SH_C0
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection


def select_color(
    gaussians: Gaussians, rgb: Sequence[float | int] | Float[Tensor, "3"], tolerance: float | int = 0.1
) -> Selection:
    """Gaussians whose colour is near one, wherever they are.

    Near is a distance in CIELAB / 100 of at most `tolerance`: 0.02 can just be told apart, 0.1 is another shade, 0.5
    another colour, 1 is from black to white.

    Raises:
        ValueError: a colour outside [0, 1], or a negative tolerance.
    """
    color = torch.as_tensor(rgb).to(gaussians.means)
    if color.shape != (3,) or not bool(((color >= 0) & (color <= 1)).all()):
        raise ValueError(f"A colour is red, green, blue in [0, 1], got {color.tolist()}; divide 8 bit values by 255")
    if not tolerance >= 0:
        raise ValueError(f"A tolerance is 0 or more, got {tolerance}")
    distances = (to_lab(base_colors(gaussians)) - to_lab(color[None])).norm(dim=1)
    name = ", ".join(f"{value:.2f}" for value in color.tolist())
    return Selection((distances <= tolerance).to(gaussians.means), f"color ({name})").for_scene(gaussians)


def base_colors(gaussians: Gaussians) -> Float[Tensor, "gaussians 3"]:
    """sRGB in [0, 1] without view dependence."""
    return (0.5 + SH_C0 * gaussians.sh_dc.detach()).clamp(0, 1)


def to_lab(rgb: Float[Tensor, "colors 3"]) -> Float[Tensor, "colors 3"]:
    """sRGB in [0, 1] to CIELAB / 100 (white point D65), where distances are about as large as they look.

    White is (1, 0, 0), black (0, 0, 0), red (0.532, 0.801, 0.672).
    """
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055).clamp_min(0) ** 2.4)
    to_xyz = rgb.new_tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = linear @ (to_xyz / to_xyz.sum(dim=1, keepdim=True)).T
    epsilon = 6 / 29
    f = torch.where(xyz > epsilon**3, xyz.clamp_min(1e-12) ** (1 / 3), xyz / (3 * epsilon**2) + 4 / 29)
    x, y, z = f.unbind(dim=1)
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], dim=1)
