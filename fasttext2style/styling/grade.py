"""Hue, saturation, brightness and their kin of an object, at once and exactly: a grade is one affine map of colours.

Spherical harmonics are linear in their coefficients, and blending is linear in colours. So where nothing is clipped,
the map of all coefficients shows in every view what the map of the picture's colours (sRGB in [0, 1]) would show. But
for evenness, which is a factor for each Gaussian (`evenness.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.styling.evenness import evened
from fasttext2style.styling.grade_settings import BRIGHTEST, LUMA, Grade

WARMTH = 0.4
"""How much red gains and blue loses at temperature 1."""
LEAST_OPACITY = 1e-4
"""What is made invisible keeps this, so that its logit is finite; no rasterizer draws less than 1 / 255."""


@torch.no_grad()
def graded(
    gaussians: Gaussians, weights: Float[Tensor, " gaussians"], grade: Grade
) -> dict[str, Float[Tensor, "gaussians ..."]]:
    """The columns (splatfacto's names) that a grade changes, each Gaussian by its weight: 0 not at all, 1 wholly.

    Between them the map itself is blended with doing nothing. Rows of weight 0 keep every bit.
    """
    mapping = color_map(grade.check()).to(gaussians.sh_dc)
    columns = {}
    if grade.evenness > 0:
        even = mapped(evened(gaussians, weights, grade.evenness), torch.ones_like(weights), mapping)
        columns = _blended({"features_dc": gaussians.sh_dc, "features_rest": gaussians.sh_rest}, even, weights)
    elif not torch.equal(mapping, torch.eye(3, 4).to(mapping)):
        columns = mapped(gaussians, weights, mapping)
    if grade.opacity != 1:
        opacities = gaussians.opacities * (1 + weights * (grade.opacity - 1))
        logits = torch.logit(opacities.clamp(LEAST_OPACITY, 1 - 1e-6))
        columns["opacities"] = torch.where(weights == 0, gaussians.logit_opacities, logits)[:, None]
    return columns


@torch.no_grad()
def mapped(
    gaussians: Gaussians, weights: Float[Tensor, " gaussians"], mapping: Float[Tensor, "3 4"]
) -> dict[str, Float[Tensor, "gaussians ..."]]:
    """The colour columns (splatfacto's names) under an affine map of colours, each Gaussian by its weight."""
    columns = {}
    whole = bool((weights == 1).all())
    untouched = weights == 0
    some_untouched = bool(untouched.any())
    matrix, offset = mapping[:, :3], mapping[:, 3]
    # c = 0.5 + SH_C0 * dc + (higher bands), and offsets go into the constant band alone.
    constant = (offset + matrix @ torch.full_like(offset, 0.5) - 0.5) / SH_C0
    shifted = {"features_dc": (gaussians.sh_dc, constant), "features_rest": (gaussians.sh_rest, 0.0)}
    for name, (column, shift) in shifted.items():
        flat = column.reshape(-1, 3)
        if whole:
            columns[name] = (flat @ matrix.T).reshape(column.shape).add_(shift)
            continue
        share = weights.reshape(-1, *[1] * (column.ndim - 1))
        new = (flat @ (matrix - torch.eye(3).to(matrix)).T).reshape(column.shape).add_(shift).mul_(share).add_(column)
        columns[name] = torch.where(untouched.reshape(share.shape), column, new) if some_untouched else new
    return columns


def _blended(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], weights: Float[Tensor, " gaussians"]
) -> dict[str, Tensor]:
    """Between these columns, each row by its weight; with all weights 1 those after."""
    if bool((weights == 1).all()):
        return dict(after)
    shares = {name: weights.reshape(-1, *[1] * (column.ndim - 1)) for name, column in before.items()}
    return {
        name: torch.where(shares[name] == 0, column, torch.lerp(column, after[name], shares[name]))
        for name, column in before.items()
    }


def one_color(gaussians: Gaussians, weights: Float[Tensor, " gaussians"], srgb: tuple[float, float, float]) -> Grade:
    """The grade after which an object's mean colour is this one, whatever colours it had: its light and shade stay.

    Evenness keeps the mean luma (over constant bands, by weight and opacity), and a tint of 1 all lumas; so the
    brightness brings that mean to the colour's: of an object of luma 0.4 that becomes one of 0.2 it is 0.5.
    """
    shares = weights * gaussians.opacities
    luma = (0.5 + SH_C0 * gaussians.sh_dc).clamp(0, 1) @ gaussians.sh_dc.new_tensor(LUMA)
    present = float((shares * luma).sum() / shares.sum().clamp_min(1e-12))
    wanted = sum(share * value for share, value in zip(LUMA, srgb))
    brightness = round(min(wanted / max(present, 1e-3), BRIGHTEST), 2)
    return Grade(evenness=1.0, brightness=brightness, tint=1.0, tint_color=srgb)


def color_map(grade: Grade) -> Float[Tensor, "3 4"]:
    """Colour c becomes map[:, :3] @ c + map[:, 3], in float64."""
    luma, identity = torch.tensor(LUMA, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    to_grey = torch.ones(3, 1, dtype=torch.float64) @ luma[None]
    gains = torch.tensor([1 + WARMTH * grade.temperature, 1.0, 1 - WARMTH * grade.temperature], dtype=torch.float64)
    matrix = torch.diag(gains / (luma @ gains))
    matrix = grade.contrast * grade.brightness * matrix
    offset = torch.full((3,), 0.5 * (1 - grade.contrast), dtype=torch.float64)
    tint = torch.tensor(grade.tint_color, dtype=torch.float64)
    tinted = tint[:, None] @ luma[None] / max(float(luma @ tint), 1e-12)
    for step in (
        to_grey + grade.saturation * (identity - to_grey),
        _turn(math.radians(grade.hue_degrees)),
        identity + grade.tint * (tinted - identity),
    ):
        matrix, offset = step @ matrix, step @ offset
    return torch.cat([matrix, offset[:, None]], dim=1)


def _turn(angle: float) -> Float[Tensor, "3 3"]:
    """Rotation around the grey axis (Rodrigues)."""
    cosine, sine, third = math.cos(angle), math.sin(angle), 1 / 3
    rows = [
        [cosine + third * (1 - cosine), third * (1 - cosine) - sine / 3**0.5, third * (1 - cosine) + sine / 3**0.5],
        [third * (1 - cosine) + sine / 3**0.5, cosine + third * (1 - cosine), third * (1 - cosine) - sine / 3**0.5],
        [third * (1 - cosine) - sine / 3**0.5, third * (1 - cosine) + sine / 3**0.5, cosine + third * (1 - cosine)],
    ]
    return torch.tensor(rows, dtype=torch.float64)
