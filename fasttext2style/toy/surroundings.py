"""What stands around the toy scene's statue: things on the deck, the deck, a meadow with hills and pines, the sky."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.toy.geometry import (
    SUN,
    Distance,
    Points,
    cone,
    ellipsoid,
    flat_gaussians,
    lit,
    noise,
    rounded_box,
)

DECK_RADIUS = 2.7
BOARD_WIDTH = 0.27
SKY_RADIUS = 24.0


@dataclass(frozen=True)
class Prop:
    """A thing on the deck."""

    distance: Distance
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    """The box that it lies in."""
    count: int
    paint: Callable[[Points], Points]
    """Albedo of points on it."""


def props(clutter: int) -> list[Prop]:
    """0: nothing. 1: a beach ball and a crate. 2: also balls, a pot and posts close to the statue."""
    things = [_ball((0.95, -1.30, 0.27), 0.27, _stripes((0.95, -1.30, 0.27)), 2200), _crate()] if clutter > 0 else []
    if clutter > 1:
        things += [
            _ball((-0.75, -0.95, 0.17), 0.17, _plain((0.75, 0.62, 0.08)), 500),
            _ball((1.25, 0.75, 0.13), 0.13, _plain((0.12, 0.42, 0.15)), 350),
            _pot((-1.15, -0.35, 0.0)),
            *(_post(x, y) for x, y in ((0.9, -0.72), (-0.35, 0.85))),
        ]
    return things


def deck(occluders: Distance, generator: torch.Generator, seed: int) -> Gaussians:
    """Wooden boards along x with dark seams; grains are long and thin Gaussians."""
    spacing_along, rows = 0.075, 8
    along = torch.arange(-DECK_RADIUS, DECK_RADIUS, spacing_along)
    across = torch.arange(-DECK_RADIUS, DECK_RADIUS, BOARD_WIDTH / rows) + BOARD_WIDTH / rows / 2
    grid = torch.cartesian_prod(along, across)
    row = torch.arange(len(across)).repeat(len(along)) % rows
    grid[:, 0] += spacing_along * (torch.rand(len(grid), generator=generator) - 0.5)
    inside = grid.norm(dim=1) < DECK_RADIUS
    grid, seam = grid[inside], (row[inside] == 0).float()
    points = torch.cat([grid, torch.zeros(len(grid), 1)], dim=1)
    board = torch.floor(grid[:, 1] / BOARD_WIDTH)
    # Each board ends somewhere else; a number per plank picks its tone.
    plank = board * 7.0 + torch.floor((grid[:, 0] + 0.77 * board.remainder(5)) / 1.7) * 3.0
    tone = 0.5 + 0.5 * torch.sin(plank * 12.9898)
    streaks = noise(points * torch.tensor([0.6, 14.0, 0.0]) + plank[:, None], 1.6, seed + 2)
    brightness = (0.82 + 0.26 * tone + 0.10 * streaks) * (1 - 0.72 * seam)
    albedo = brightness[:, None] * torch.lerp(
        torch.tensor([[0.42, 0.25, 0.13]]), torch.tensor([[0.50, 0.35, 0.21]]), tone[:, None]
    )
    normals = torch.tensor([0.0, 0.0, 1.0]).expand_as(points)
    sizes = torch.tensor([0.62 * spacing_along, 0.62 * BOARD_WIDTH / rows]).expand(len(points), 2).clone()
    sizes[seam > 0, 1] *= 0.7
    return flat_gaussians(points, normals, lit(albedo, points, normals, occluders), sizes)


def meadow(seed: int) -> Gaussians:
    """Grass from the deck's edge to hills, in rings that widen with their radius."""
    radii = DECK_RADIUS * (SKY_RADIUS / DECK_RADIUS) ** torch.linspace(0, 1, 38)
    angles = torch.arange(120) * (2 * math.pi / 120)
    radius, angle = torch.cartesian_prod(radii, angles).unbind(dim=1)
    angle = angle + radius * 2.4
    points = torch.stack([radius * angle.cos(), radius * angle.sin(), torch.zeros_like(radius)], dim=1)
    height, step = _hills(points), 0.05
    slope_x = (_hills(points + torch.tensor([step, 0, 0])) - height) / step
    slope_y = (_hills(points + torch.tensor([0, step, 0])) - height) / step
    points[:, 2] = height - 0.06
    normals = torch.nn.functional.normalize(torch.stack([-slope_x, -slope_y, torch.ones_like(height)], dim=1), dim=1)
    patches = 0.5 * noise(points, 1.1, seed + 3) + 0.5 * noise(points, 4.0, seed + 4)
    far = ((radius - 6) / 18).clamp(0, 1)[:, None]
    albedo = (1 + 0.22 * patches)[:, None] * torch.tensor([[0.20, 0.29, 0.07]])
    light = (normals @ SUN).clamp_min(0)[:, None] * torch.tensor([1.3, 1.2, 1.0]) + torch.tensor([0.32, 0.38, 0.46])
    colors = torch.lerp(albedo * light, torch.tensor([[0.42, 0.53, 0.66]]), 0.75 * far)
    spacing = radius * (2 * math.pi / 120)
    return flat_gaussians(points, normals, colors, torch.stack([0.75 * spacing, 0.75 * spacing], dim=1))


def trees(generator: torch.Generator, count: int = 44) -> Gaussians:
    """Pines on the meadow, cones of needles darker inside."""
    angle = torch.arange(count) * 2.399963 + 0.4 * torch.rand(count, generator=generator)
    radius = 5.2 + 8.0 * torch.rand(count, generator=generator)
    size = 1.1 + 1.3 * torch.rand(count, generator=generator) + 0.06 * radius
    feet = torch.stack([radius * angle.cos(), radius * angle.sin(), torch.zeros(count)], dim=1)
    feet[:, 2] = _hills(feet)
    needles = 120
    level = torch.rand(count, needles, generator=generator).sqrt()
    turn = 2 * math.pi * torch.rand(count, needles, generator=generator)
    width = 0.30 * size[:, None] * level * (0.75 + 0.5 * ((5 * level) % 1))
    outward = torch.stack([turn.cos(), turn.sin(), torch.zeros_like(turn)], dim=2)
    points = feet[:, None] + width[..., None] * outward
    points[..., 2] += size[:, None] * (1.05 - level)
    normals = torch.nn.functional.normalize(outward + torch.tensor([0.0, 0.0, 0.6]), dim=2)
    tone = (0.7 + 0.5 * torch.rand(count, needles, 1, generator=generator)) * (0.8 + 0.3 * ((5 * level) % 1))[..., None]
    shade = (0.35 + 0.8 * (normals @ SUN).clamp_min(0))[..., None]
    colors = tone * shade * torch.tensor([0.10, 0.20, 0.085])
    far = ((radius - 4) / 20).clamp(0, 1)[:, None, None]
    colors = torch.lerp(colors, torch.tensor([0.42, 0.53, 0.66]), 0.6 * far)
    sizes = (0.058 * size)[:, None, None].expand(count, needles, 2)
    return flat_gaussians(points.reshape(-1, 3), normals.reshape(-1, 3), colors.reshape(-1, 3), sizes.reshape(-1, 2))


def sky(seed: int, count: int = 1500) -> Gaussians:
    """A dome, pale at the horizon, with a few clouds."""
    number = torch.arange(count) + 0.5
    height = 1 - number / count * 1.08
    angle = number * 2.399963
    ring = (1 - height**2).sqrt()
    directions = torch.stack([ring * angle.cos(), ring * angle.sin(), height], dim=1)
    up = height.clamp(0, 1)[:, None]
    blue = torch.lerp(torch.tensor([[0.66, 0.77, 0.88]]), torch.tensor([[0.13, 0.31, 0.68]]), up**0.6)
    cloudiness = torch.sigmoid(2.5 * (noise(directions * torch.tensor([1.0, 1.0, 2.6]), 3.2, seed + 5) - 0.7))
    colors = torch.lerp(blue, torch.tensor([[0.92, 0.93, 0.95]]), (0.85 * cloudiness)[:, None])
    spread = SKY_RADIUS * math.sqrt(2 * math.pi * 1.08 / count)
    sizes = torch.full((count, 2), 0.75 * spread)
    return flat_gaussians(SKY_RADIUS * directions, -directions, colors, sizes)


def _hills(points: Points) -> Float[Tensor, " points"]:
    """Height of the ground: flat around the deck, hills from radius 8 on."""
    radius, angle = points[:, :2].norm(dim=1), torch.atan2(points[:, 1], points[:, 0])
    ridge = 1.6 + 0.9 * torch.sin(3 * angle + 0.7) + 0.6 * torch.sin(5 * angle + 2.0) + 0.35 * torch.sin(11 * angle)
    rise = ((radius - 7) / 13).clamp(0, 1)
    return ridge * rise * rise * (3 - 2 * rise)


def _ball(center: tuple[float, float, float], radius: float, paint: Callable[[Points], Points], count: int) -> Prop:
    x, y, z = center
    reach = radius + 0.03
    lower, upper = (x - reach, y - reach, 0.004), (x + reach, y + reach, z + reach)
    return Prop(ellipsoid(center, (radius, radius, radius)), lower, upper, count, paint)


def _crate() -> Prop:
    center, half, turn = (-0.95, 1.3, 0.27), 0.27, 0.5

    def paint(points: Points) -> Points:
        local = (points - torch.tensor(center)) / half
        edge = (local.abs().sort(dim=1).values[:, 1] > 0.93).float()
        slats = ((points[:, 2] / 0.135) % 1 < 0.22).float()
        return torch.tensor([[0.10, 0.24, 0.40]]) * (1 - 0.45 * slats * (1 - edge))[:, None]

    reach = 1.5 * half
    lower, upper = (center[0] - reach, center[1] - reach, 0.004), (center[0] + reach, center[1] + reach, 0.6)
    return Prop(rounded_box(center, (half, half, half), 0.02, turn), lower, upper, 1700, paint)


def _pot(foot: tuple[float, float, float]) -> Prop:
    lower, upper = (foot[0] - 0.3, foot[1] - 0.3, 0.004), (foot[0] + 0.3, foot[1] + 0.3, 0.45)
    return Prop(cone(foot, 0.13, 0.21, 0.34), lower, upper, 900, _plain((0.52, 0.20, 0.10)))


def _post(x: float, y: float) -> Prop:
    lower, upper = (x - 0.1, y - 0.1, 0.004), (x + 0.1, y + 0.1, 0.75)
    return Prop(cone((x, y, 0.0), 0.045, 0.035, 0.62), lower, upper, 450, _plain((0.62, 0.58, 0.52)))


def _plain(color: tuple[float, float, float]) -> Callable[[Points], Points]:
    return lambda points: torch.tensor(color).expand_as(points)


def _stripes(center: tuple[float, float, float]) -> Callable[[Points], Points]:
    """Red and white, as on a beach ball that lies on its side."""

    def paint(points: Points) -> Points:
        offset = points - torch.tensor(center)
        sector = torch.atan2(offset[:, 2], 0.8 * offset[:, 0] + 0.6 * offset[:, 1]) / math.pi * 3
        red = (sector.floor() % 2 == 0)[:, None]
        return torch.where(red, torch.tensor([0.66, 0.07, 0.05]), torch.tensor([0.80, 0.78, 0.72]))

    return paint
