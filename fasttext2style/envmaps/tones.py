"""Exposure, and curves between radiance and what networks and screens take.

Screens take sRGB in [0, 1] (`to_display`). Networks that should keep the sun take one of two reversible curves: PU21,
which follows how different two luminances look and needs an absolute scale, or a logarithm.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.sphere import solid_angles

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Of linear sRGB (ITU-R BT.709)."""
MIDDLE_GREY = 0.18
DARKEST_NITS, BRIGHTEST_NITS = 0.005, 10_000.0
"""Between them PU21 is defined."""
WHITE_NITS = 100.0
"""What 1 is taken for where radiance has no absolute scale: the white of a screen."""
CurveName = Literal["pu21", "log"]
_PU21 = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)


def luminance(radiance: Float[Tensor, "*pixels 3"]) -> Float[Tensor, "*pixels"]:
    """Of linear sRGB; 1 for white."""
    return radiance @ radiance.new_tensor(LUMINANCE)


def exposed(radiance: Float[Tensor, "*any"], stops: float | int) -> Float[Tensor, "*any"]:
    """Brighter by so many stops: each doubles."""
    return radiance * 2.0**stops


def middle_exposure(panorama: Float[Tensor, "height width 3"]) -> float:
    """The stops that bring the median luminance, over the sphere and not over pixels, to middle grey.

    0 for a panorama whose median is black.
    """
    values, order = luminance(panorama).flatten().sort()
    angles = solid_angles(*panorama.shape[:2]).to(panorama.device)
    covered = angles[:, None].expand(panorama.shape[:2]).flatten()[order].cumsum(dim=0)
    median = float(values[torch.searchsorted(covered, covered[-1] / 2).clamp_max(len(values) - 1)])
    return math.log2(MIDDLE_GREY / median) if median > 0 else 0.0


def to_display(radiance: Float[Tensor, "*any"], stops: float | int = 0.0) -> Float[Tensor, "*any"]:
    """sRGB in [0, 1] of linear radiance after exposure; what is brighter than 1 is white, what is below 0 black."""
    linear = exposed(radiance, stops).clamp(0, 1)
    # The gradient of a power is infinite at 0, where the straight part is taken.
    curved = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curved)


def from_display(srgb: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Linear radiance in [0, 1] of sRGB in [0, 1] (IEC 61966-2-1), the inverse of `to_display`."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def log_encode(
    radiance: Float[Tensor, "*any"], gain: float | int = 100.0, brightest: float | int = 65504.0
) -> Float[Tensor, "*any"]:
    """log(1 + gain L) / log(1 + gain brightest): 0 for black, 1 for `brightest`, and above 1 for more.

    Larger gains spend more of the range on the dark.
    """
    return torch.log1p(gain * radiance) / math.log1p(gain * brightest)


def log_decode(
    encoded: Float[Tensor, "*any"], gain: float | int = 100.0, brightest: float | int = 65504.0
) -> Float[Tensor, "*any"]:
    """The inverse of `log_encode`."""
    return torch.expm1(encoded * math.log1p(gain * brightest)) / gain


def pu21_encode(nits: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Perceptually uniform units of absolute luminance in cd/m2: 0 at 0.005, about 256 at 100, 595.4 at 10,000.

    Mantiuk and Azimi, PU21 (Picture Coding Symposium 2021), the variant banding_glare. Radiance has no absolute scale:
    choose how many nits 1 is (100 or 203 for white), and keep that number. What is darker or brighter than the curve is
    defined for is clipped; suns are.
    """
    p1, p2, p3, p4, p5, p6, p7 = _PU21
    power = nits.clamp(DARKEST_NITS, BRIGHTEST_NITS) ** p4
    return (p7 * (((p1 + p2 * power) / (1 + p3 * power)) ** p5 - p6)).clamp_min(0)


def pu21_decode(units: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Nits, the inverse of `pu21_encode`; within 0.005 and 10,000."""
    p1, p2, p3, p4, p5, p6, p7 = _PU21
    ratio = (units / p7 + p6).clamp_min(0) ** (1 / p5)
    # Beyond the brightest the denominator would become negative.
    power = (ratio - p1).clamp_min(0) / (p2 - p3 * ratio).clamp_min(torch.finfo(units.dtype).tiny)
    return (power ** (1 / p4)).clamp(DARKEST_NITS, BRIGHTEST_NITS)


def to_curve(radiance: Float[Tensor, "*any"], curve: CurveName) -> Float[Tensor, "*any"]:
    """What a network takes instead of radiance: -1 for black, 1 for white (radiance 1), and above 1 for lamps and suns.

    pu21: 1 is 100 nits, and what is brighter than 100 times white is clipped (3.65); log: nothing is clipped, and 100
    times white is 2.99.
    """
    if curve == "pu21":
        white = float(pu21_encode(torch.tensor(WHITE_NITS)))
        return 2 * pu21_encode(radiance * WHITE_NITS) / white - 1
    return 2 * log_encode(radiance, brightest=1.0) - 1


def from_curve(values: Float[Tensor, "*any"], curve: CurveName) -> Float[Tensor, "*any"]:
    """Radiance of what `to_curve` made, its inverse; below -1 it is black, above all floats of 16 bits 65504."""
    shares = (values.clamp_min(-1) + 1) / 2
    if curve == "pu21":
        white, most = pu21_encode(torch.tensor([WHITE_NITS, BRIGHTEST_NITS])).tolist()
        # Clamped here, for beyond the brightest the gradient of the curve is no number.
        return pu21_decode((shares * white).clamp_max(most)) / WHITE_NITS
    most = float(log_encode(torch.tensor(65504.0), brightest=1.0))
    return log_decode(shares.clamp_max(most), brightest=1.0)
