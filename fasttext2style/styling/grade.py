"""Hue, saturation, brightness and their kin of an object, at once and exactly: a grade is one affine map of colours.

Spherical harmonics are linear in their coefficients, and blending is linear in colours. So where nothing is clipped,
the map of all coefficients shows in every view what the map of the picture's colours (sRGB in [0, 1]) would show. But
for evenness, which is a factor for each Gaussian (`evenness.py`).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.styling.evenness import even_factors
from fasttext2style.styling.grade_settings import BRIGHTEST, LUMA, Grade

WARMTH = 0.4
"""How much red gains and blue loses at temperature 1."""
_SEEN = 0.5
"""Weight and opacity together of what counts for how bright an object is."""
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
    factors = None if grade.evenness == 0 else even_factors(gaussians, weights, grade.evenness)
    is_none = factors is None and torch.equal(mapping, torch.eye(3, 4).to(mapping))
    columns = {} if is_none else mapped(gaussians, weights, mapping, factors)
    if grade.opacity != 1:
        opacities = gaussians.opacities * (1 + weights * (grade.opacity - 1))
        logits = torch.logit(opacities.clamp(LEAST_OPACITY, 1 - 1e-6))
        columns["opacities"] = torch.where(weights == 0, gaussians.logit_opacities, logits)[:, None]
    return columns


@torch.no_grad()
def mapped(
    gaussians: Gaussians,
    weights: Float[Tensor, " gaussians"],
    mapping: Float[Tensor, "3 4"],
    factors: Float[Tensor, " gaussians"] | None = None,
) -> dict[str, Float[Tensor, "gaussians ..."]]:
    """The colour columns (splatfacto's names) under an affine map of colours, each Gaussian by its weight; by `factors`
    colours get lighter or darker before that."""
    columns = {}
    whole, untouched = bool((weights == 1).all()), (weights == 0).nonzero()[:, 0]
    matrix, offset = mapping[:, :3], mapping[:, 3]
    # c = 0.5 + SH_C0 * dc + (higher bands), and offsets go into the constant band alone.
    middle = matrix @ torch.full_like(offset, 0.5)
    middle = middle if factors is None else factors[:, None] * middle
    for name, column in (("features_dc", gaussians.sh_dc), ("features_rest", gaussians.sh_rest)):
        new = (column.reshape(-1, 3) @ matrix.T).reshape(column.shape)
        by_row = (-1, *[1] * (column.ndim - 1))
        if factors is not None:
            new.mul_(factors.reshape(by_row))
        if name == "features_dc":
            new.add_((offset + middle - 0.5) / SH_C0)
        if not whole:
            torch.lerp(column, new, weights.reshape(by_row), out=new)
            new[untouched] = column[untouched]
        columns[name] = new
    return columns


def one_color(gaussians: Gaussians, weights: Float[Tensor, " gaussians"], srgb: tuple[float, float, float]) -> Grade:
    """The grade after which an object's mean colour is this one, whatever colours it had: its light and shade stay.

    Evenness keeps the mean luma (over constant bands, by weight and opacity), and a tint of 1 all lumas; so the
    brightness brings that mean to the colour's: of an object of luma 0.4 that becomes one of 0.2 it is 0.5. But where
    more than a quarter would be brighter than a screen shows, and so without light and shade, it is less.
    """
    shares = weights * gaussians.opacities
    luma = (0.5 + SH_C0 * gaussians.sh_dc).clamp(0, 1) @ gaussians.sh_dc.new_tensor(LUMA)
    present = float((shares * luma).sum() / shares.sum().clamp_min(1e-12))
    wanted = sum(share * value for share, value in zip(LUMA, srgb))
    brightness = wanted / max(present, 1e-3)
    seen = (luma * even_factors(gaussians, weights, 1.0))[shares > _SEEN]
    if len(seen) > 0:
        lit = float(seen[:: -(-len(seen) // 100_000)].quantile(0.75))
        brightness = min(brightness, wanted / (max(srgb) * max(lit, 1e-3)))
    return Grade(evenness=1.0, brightness=round(min(brightness, BRIGHTEST), 2), tint=1.0, tint_color=srgb)


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
