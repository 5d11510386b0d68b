"""Skies that come with the program, to begin with: computed, high dynamic range, of any size; the sun at azimuth 40.

By day the sky of Preetham, Shirley and Smits, "A Practical Analytic Model for Daylight" (SIGGRAPH 1999, with its
appendix), when it is overcast that of the CIE (Moon and Spencer 1942: the zenith three times as bright as the horizon);
both are made for a higher sun than that of a sunset, which is a plain gradient here, as night and studio are. Light is
exposed so that a screen shows most of it. Below the horizon lies a ground that the sky lights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.sphere import directions, solid_angles
from fasttext2style.envmaps.tones import luminance

AZIMUTH_DEGREES = 40.0
"""Of sun and moon: half left of the middle of the panorama."""
_SUN_KILOLUX = 128.0
"""Outside of the atmosphere."""
_DISC_DEGREES = 0.6
"""Radius of the sun's disc, twice the true one: smaller ones fall between the pixels. Its light is that of the sun."""
_ALBEDO = (0.25, 0.23, 0.2)
_WAVELENGTHS = (0.61, 0.55, 0.465)
"""Micrometres, of red, green and blue."""
_TO_SRGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))

Rays = Float[Tensor, "height width 3"]
Light = Float[Tensor, "height width 3"]


class Day(NamedTuple):
    """A clear day."""

    elevation_degrees: float
    """Of the sun."""
    turbidity: float
    """2: very clear, 6: haze."""
    brightness: float
    """Luminance that the mean of the sky gets; 1 is white."""


DAYS = {"clear noon": Day(55.0, 2.5, 0.42), "golden hour": Day(12.0, 4.0, 0.32)}


def sky(name: str, height: int = 512) -> Float[Tensor, "height width 3"]:
    """A panorama in the axes of envmaps/sphere.py, twice as wide as high: linear radiance, 1 is white.

    Raises:
        ValueError: there is no sky of this name.
    """
    if name not in SKIES:
        raise ValueError(f"There is no sky called {name!r}; there are {', '.join(SKIES)}")
    return SKIES[name](directions(height, 2 * height)).clamp(0, 6e4).float()


# --- by day ----------------------------------------------------------------------------------------------------------


def daylight(along: Rays, day: Day) -> Light:
    """A clear sky, its sun, and the ground below it."""
    zenith_angle = math.radians(90 - day.elevation_degrees)
    sun = _towards(day.elevation_degrees)
    above = _perez_sky(_lifted(along), sun, zenith_angle, day.turbidity)
    direct = _SUN_KILOLUX * _transmittance(zenith_angle, day.turbidity)
    disc = math.radians(_DISC_DEGREES)
    radiance = direct / (math.pi * disc**2)
    light = above + _spot(along, sun, disc, 0.25 * disc)[..., None] * radiance
    lit = direct * math.cos(zenith_angle) + irradiance(along, above)
    light = _on_ground(along, light, above, lit)
    return light * (day.brightness / float(luminance(above).mean()))


def _perez_sky(along: Rays, sun: Float[Tensor, "3"], zenith_angle: float, turbidity: float) -> Light:
    """Preetham et al., equations 1 to 4 and appendix A.2: Y in kcd/m2 and the chromaticities, as linear sRGB."""
    t, z = turbidity, zenith_angle
    angles = torch.tensor([z**3, z**2, z, 1.0], dtype=along.dtype)
    powers = torch.tensor([t * t, t, 1.0], dtype=along.dtype)
    chi = (4 / 9 - t / 120) * (math.pi - 2 * z)
    # The fit gives next to nothing, or less, for a sun at the horizon.
    zenith = [
        max((4.0453 * t - 4.9710) * math.tan(chi) - 0.2155 * t + 2.4192, 0.1),
        *(float(powers @ torch.tensor(table, dtype=along.dtype) @ angles) for table in (_ZENITH_X, _ZENITH_Y)),
    ]
    up = along[..., 2].clamp_min(0.01)
    gamma = (along @ sun.to(along)).clamp(-1, 1).acos()
    parts = []
    for value, slopes in zip(zenith, (_PEREZ_LUMINANCE, _PEREZ_X, _PEREZ_Y)):
        a, b, c, d, e = (slope * t + offset for slope, offset in slopes)
        here = (1 + a * (b / up).exp()) * (1 + c * (d * gamma).exp() + e * gamma.cos() ** 2)
        there = (1 + a * math.exp(b)) * (1 + c * math.exp(d * z) + e * math.cos(z) ** 2)
        parts.append(value * here / there)
    big_y, x, y = parts
    xyz = torch.stack([x / y * big_y, big_y, (1 - x - y) / y * big_y], dim=-1)
    return (xyz @ torch.tensor(_TO_SRGB, dtype=along.dtype).T).clamp_min(0)


_PEREZ_LUMINANCE = ((0.1787, -1.4630), (-0.3554, 0.4275), (-0.0227, 5.3251), (0.1206, -2.5771), (-0.0670, 0.3703))
_PEREZ_X = ((-0.0193, -0.2592), (-0.0665, 0.0008), (-0.0004, 0.2125), (-0.0641, -0.8989), (-0.0033, 0.0452))
_PEREZ_Y = ((-0.0167, -0.2608), (-0.0950, 0.0092), (-0.0079, 0.2102), (-0.0441, -1.6537), (-0.0109, 0.0529))
"""Slope and offset in the turbidity, of A to E."""
_ZENITH_X = (
    (0.00166, -0.00375, 0.00209, 0.0),
    (-0.02903, 0.06377, -0.03202, 0.00394),
    (0.11693, -0.21196, 0.06052, 0.25886),
)
_ZENITH_Y = (
    (0.00275, -0.00610, 0.00317, 0.0),
    (-0.04214, 0.08970, -0.04153, 0.00516),
    (0.15346, -0.26756, 0.06670, 0.26688),
)


def _transmittance(zenith_angle: float, turbidity: float) -> Float[Tensor, "3"]:
    """Of the sun's light, by air molecules and haze (Preetham et al., appendix A.1), for red, green and blue."""
    degrees = math.degrees(zenith_angle)
    mass = 1 / (math.cos(zenith_angle) + 0.15 * (93.885 - degrees) ** -1.253)
    wavelengths = torch.tensor(_WAVELENGTHS, dtype=torch.float64)
    haze = (0.04608 * turbidity - 0.04586) * wavelengths**-1.3
    return (-mass * (0.008735 * wavelengths**-4.08 + haze)).exp()


# --- other weather, other times, indoors -----------------------------------------------------------------------------


def sunset(along: Rays) -> Light:
    """Orange around the sun, rose above it, and blue overhead."""
    sun, lifted = _towards(2.0), _lifted(along)
    up = lifted[..., 2:]
    around = torch.nn.functional.normalize(torch.cat([along[..., :2], torch.zeros_like(up)], dim=-1), dim=-1)
    at_sun = ((1 + around @ sun.to(along)) / 2).clamp_min(0)[..., None] ** 2
    colors = ((0.09, 0.14, 0.33), (0.42, 0.24, 0.34), (1.1, 0.42, 0.1), (0.3, 0.22, 0.36))
    overhead, rose, orange, opposite = (torch.tensor(color, dtype=along.dtype) for color in colors)
    low = opposite + (orange - opposite) * at_sun
    above = overhead + (rose - overhead) * (-up / 0.3).exp() + (low - rose) * (-up / 0.1).exp()
    glow = ((lifted @ sun.to(along) - 1) * 12).exp()[..., None] * torch.tensor([0.9, 0.4, 0.1], dtype=along.dtype)
    disc = math.radians(_DISC_DEGREES)
    shines = 40 * _transmittance(math.radians(86.0), 3.0) / float(_transmittance(math.radians(86.0), 3.0).max())
    light = above + glow + _spot(along, sun, 2 * disc, 0.5 * disc)[..., None] * shines
    return _on_ground(along, light, above + glow, irradiance(along, above))


def overcast(along: Rays) -> Light:
    """The CIE's standard overcast sky: L(elevation) = L(zenith) (1 + 2 sin elevation) / 3."""
    up = _lifted(along)[..., 2:]
    above = 0.62 * (1 + 2 * up) / 3 * torch.tensor([0.95, 1.0, 1.06], dtype=along.dtype)
    return _on_ground(along, above, above, irradiance(along, above))


def night(along: Rays) -> Light:
    """Moonlight, a glow at the horizon, and stars; always the same ones."""
    up = _lifted(along)[..., 2:]
    deep, glow = (torch.tensor(it, dtype=along.dtype) for it in ((0.006, 0.011, 0.03), (0.03, 0.035, 0.05)))
    above = deep + (glow - deep) * (1 - up) ** 4
    moon = _towards(35.0)
    halo = 0.12 * ((along @ moon.to(along) - 1) * 60).exp()[..., None]
    disc = 4.0 * _spot(along, moon, math.radians(1.2), math.radians(0.2))[..., None]
    stars = _stars(along) * up.clamp_min(0).sqrt()
    light = above + halo + stars + disc * torch.tensor([1.0, 0.96, 0.85], dtype=along.dtype)
    return _on_ground(along, light, above, irradiance(along, above))


def studio(along: Rays) -> Light:
    """A grey room with a large soft light, a weaker one opposite, and one overhead."""
    light = 0.16 + 0.1 * along[..., 2:].clamp(-1, 1).expand_as(along)
    for azimuth, elevation, wide, high, radiance in (
        (40.0, 30.0, 28.0, 20.0, 9.0),
        (-110.0, 20.0, 14.0, 24.0, 2.5),
        (160.0, 75.0, 30.0, 12.0, 4.0),
    ):
        light = light + radiance * _panel(along, _towards(elevation, azimuth), wide, high)[..., None]
    return light


def _panel(along: Rays, middle: Float[Tensor, "3"], wide: float, high: float) -> Float[Tensor, "height width"]:
    """1 inside a rectangle (half its width and height in degrees), with soft edges."""
    middle = middle.to(along)
    side = torch.nn.functional.normalize(torch.linalg.cross(middle.new_tensor([0.0, 0.0, 1.0]), middle), dim=0)
    before = (along @ middle).clamp_min(1e-6)
    inside = (along @ middle > 0).to(along)
    for axis, half in ((side, wide), (torch.linalg.cross(middle, side), high)):
        away = (along @ axis / before).abs().atan()
        inside = inside * torch.sigmoid((math.radians(half) - away) / math.radians(0.7))
    return inside


def _stars(along: Rays) -> Light:
    """A thousand of them, evenly over the sphere: each lights one pixel of the panorama whose directions these are."""
    height, width = along.shape[0], along.shape[1]
    generator = torch.Generator().manual_seed(0)
    up, around, rare = torch.rand(3, 1000, generator=generator, dtype=torch.float64)
    rows = ((1 - 2 * up).acos() / math.pi * height).long().clamp_max(height - 1)
    light = torch.zeros(height, width, dtype=along.dtype)
    light[rows, (around * width).long().clamp_max(width - 1)] = (0.08 * rare.clamp_min(1e-3) ** -0.5).to(along)
    return light[..., None].expand_as(along)


# --- parts -----------------------------------------------------------------------------------------------------------


def _towards(elevation_degrees: float, azimuth_degrees: float = AZIMUTH_DEGREES) -> Float[Tensor, "3"]:
    up, around = math.radians(elevation_degrees), math.radians(azimuth_degrees)
    level = math.cos(up)
    return torch.tensor([level * math.cos(around), level * math.sin(around), math.sin(up)], dtype=torch.float64)


def irradiance(along: Rays, light: Light) -> Float[Tensor, "3"]:
    """What falls from above onto a level ground; pi times the light where that is everywhere the same."""
    height, width, _ = along.shape
    angles = solid_angles(height, width)[:, None, None].to(along)
    return (light * along[..., 2:].clamp_min(0) * angles).sum(dim=(0, 1))


def _lifted(along: Rays) -> Rays:
    """The same directions, those below the horizon on it."""
    return torch.nn.functional.normalize(torch.cat([along[..., :2], along[..., 2:].clamp_min(0)], dim=-1), dim=-1)


def _spot(along: Rays, middle: Float[Tensor, "3"], radius: float, edge: float) -> Float[Tensor, "height width"]:
    """1 within a radius of a direction, 0 outside, and a soft edge between, in radians."""
    away = torch.linalg.norm(along - middle.to(along), dim=-1)  # the chord, which is the angle where it is small
    return ((radius + edge / 2 - away) / edge).clamp(0, 1)


def _on_ground(along: Rays, light: Light, horizon: Light, lit: Float[Tensor, "3"]) -> Light:
    """A ground lit by so much from above (its irradiance), which fades into the haze at the horizon."""
    ground = torch.tensor(_ALBEDO, dtype=along.dtype) * lit.to(along) / math.pi
    below = -along[..., 2:]
    far = (-below.clamp_min(0) / 0.06).exp()
    return torch.where(below <= 0, light, ground + (horizon - ground) * far)


SKIES: dict[str, Callable[[Rays], Light]] = {
    **{name: lambda along, day=day: daylight(along, day) for name, day in DAYS.items()},
    "sunset": sunset,
    "overcast": overcast,
    "night": night,
    "studio": studio,
}
"""Name -> light along directions, float64."""
