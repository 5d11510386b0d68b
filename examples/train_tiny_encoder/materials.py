"""Procedural materials: what the tiny encoder's pictures are painted with.

A `Material` gives tiling textures [count, 3, size, size] (sRGB in [0, 1]) and says how light plays on it. Metals have
no texture of their own colour: they are a `ramp` of colours, from where they reflect the dark to where the bright.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.08, 0.08),
    "orange": (0.95, 0.48, 0.05),
    "yellow": (0.97, 0.90, 0.12),
    "green": (0.12, 0.62, 0.15),
    "turquoise": (0.10, 0.78, 0.78),
    "blue": (0.10, 0.18, 0.88),
    "purple": (0.50, 0.12, 0.68),
    "pink": (0.97, 0.50, 0.72),
    "brown": (0.42, 0.24, 0.11),
    "black": (0.05, 0.05, 0.05),
    "white": (0.95, 0.95, 0.95),
    "gray": (0.50, 0.50, 0.50),
}


class Brush:
    """Tiling random patterns [count, 1, size, size] and numbers [count, 1, 1, 1] from one generator."""

    def __init__(self, generator: torch.Generator, count: int, size: int) -> None:
        self.generator, self.count, self.size = generator, count, size
        axis = (torch.arange(size) + 0.5) / size
        self.v, self.u = (grid[None, None] for grid in torch.meshgrid(axis, axis, indexing="ij"))

    def number(self, low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(self.count, channels, 1, 1, generator=self.generator)

    def integer(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (self.count, 1, 1, 1), generator=self.generator).float()

    def noise(self, cells: int | tuple[int, int], octaves: int = 3, gain: float = 0.5) -> Tensor:
        """Fractal value noise stretched to about [0, 1]."""
        rows, columns = (cells, cells) if isinstance(cells, int) else cells
        total = torch.zeros(self.count, 1, self.size, self.size)
        for octave in range(octaves):
            shape = [min(self.size, n * 2**octave) for n in (rows, columns)]
            lattice = torch.rand(self.count, 1, *shape, generator=self.generator)
            # Pad by wrapping, enlarge, cut the middle out: tiles without a seam.
            padded = functional.pad(lattice, (2, 2, 2, 2), mode="circular" if min(shape) > 1 else "replicate")
            steps = [self.size / n for n in shape]
            full = [round((n + 4) * step) for n, step in zip(shape, steps)]
            fine = functional.interpolate(padded, full, mode="bilinear", align_corners=False)
            top, left = (round(2 * step) for step in steps)
            total += gain**octave * fine[..., top : top + self.size, left : left + self.size]
        low, high = total.amin((2, 3), keepdim=True), total.amax((2, 3), keepdim=True)
        return (total - low) / (high - low + 1e-6)

    def veins(self, cells: int, octaves: int = 4, sharpness: float = 8.0) -> Tensor:
        """Thin bright lines where noise crosses its middle."""
        return (-sharpness * (2 * self.noise(cells, octaves) - 1).abs()).exp()

    def spots(self, points: int) -> tuple[Tensor, Tensor, Tensor]:
        """Voronoi cells: distance to the nearest point, gap to the second nearest, a random shade per cell."""
        centres = torch.rand(self.count, points, 2, generator=self.generator)
        shades = torch.rand(self.count, points, generator=self.generator)
        offset_u = (self.u[0] - centres[:, :, :1, None] + 0.5).remainder(1) - 0.5
        offset_v = (self.v[0] - centres[:, :, 1:, None] + 0.5).remainder(1) - 0.5
        two, index = (offset_u.square() + offset_v.square()).sqrt().topk(2, dim=1, largest=False)
        shade = shades.gather(1, index[:, 0].flatten(1)).view(self.count, 1, self.size, self.size)
        return two[:, :1], two[:, 1:] - two[:, :1], shade

    def colour(self, rgb: tuple[float, float, float], jitter: float = 0.06) -> Tensor:
        return (torch.tensor(rgb).view(1, 3, 1, 1) + self.number(-jitter, jitter, 3)).clamp(0, 1)


def mix(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """From `first` (share 0) to `second` (share 1)."""
    return first + (second - first) * share


def step(values: Tensor, edge: float | Tensor, softness: float) -> Tensor:
    """A soft threshold: 0 below the edge, 1 above."""
    return ((values - edge) / softness + 0.5).clamp(0, 1)


Paint = Callable[[Brush, Tensor], Tensor]
"""Textures from a brush and a base colour [count, 3, 1, 1]; most materials ignore the colour."""


def _ramp(brush: Brush, share: Tensor, *stops: tuple[float, float, float]) -> Tensor:
    position = share.clamp(0, 1) * (len(stops) - 1)
    colours = [brush.colour(stop, 0.04) for stop in stops]
    layers = [(1 - (position - i).abs()).clamp(min=0) * colour for i, colour in enumerate(colours)]
    return sum(layers, start=torch.zeros(1))


def plain(brush: Brush, base: Tensor) -> Tensor:
    return base * (1 + brush.number(0, 0.25) * (brush.noise(4) - 0.5))


def metal(brush: Brush, base: Tensor) -> Tensor:
    """Only a faint unevenness of polish, as grey; the colour comes from the ramp."""
    brushed = torch.where(brush.number(0, 1) < 0.5, brush.noise((48, 3), 2), brush.noise(5, 3))
    return (0.5 + brush.number(0.05, 0.5) * (brushed - 0.5)).expand(-1, 3, -1, -1)


def wood(brush: Brush, base: Tensor) -> Tensor:
    rings = brush.integer(3, 7) * brush.v + brush.number(0.4, 1.6) * brush.noise((3, 1), 3)
    grain = (0.5 + 0.5 * torch.sin(2 * math.pi * rings)) * 0.7 + 0.3 * brush.noise((48, 3), 2)
    dark = brush.number(0, 1)
    pale = _ramp(brush, grain, (0.40, 0.23, 0.10), (0.62, 0.40, 0.20), (0.76, 0.55, 0.32))
    return pale * (1 - 0.35 * dark)


def stone(brush: Brush, base: Tensor) -> Tensor:
    _, gap, shade = brush.spots(14)
    rough = 0.55 * brush.noise(5, 5, 0.7) + 0.2 * shade
    grey = _ramp(brush, rough, (0.28, 0.27, 0.26), (0.50, 0.49, 0.47), (0.70, 0.69, 0.66))
    return grey * (1 - brush.number(0, 0.45) * (1 - step(gap, 0.02, 0.03)))


def marble(brush: Brush, base: Tensor) -> Tensor:
    veins = (brush.veins(2, 5, 9) + 0.5 * brush.veins(4, 4, 14)).clamp(0, 1)
    return mix(base * mix(torch.ones(1), 0.8 + 0.2 * brush.noise(3), brush.number(0, 1)), 0.45 * base, 0.8 * veins)


def brick(brush: Brush, base: Tensor) -> Tensor:
    rows, columns = brush.integer(3, 5) * 2, brush.integer(2, 4)
    row = (brush.v * rows).floor()
    across = brush.u * columns + 0.5 * row.remainder(2)
    edge = torch.minimum((across.remainder(1) - 0.5).abs() * 2 / 2.2 + 0.545 - 0.09, (brush.v * rows).remainder(1))
    mortar = ((across.remainder(1) < 0.07) | ((brush.v * rows).remainder(1) < 0.14)).float() * (edge > -1)
    shade = torch.sin(12.9898 * across.floor().remainder(columns) + 78.233 * row + brush.number(0, 6)) * 43758.5
    bricks = base * (0.75 + 0.4 * shade.remainder(1)) * (0.85 + 0.3 * brush.noise(12))
    return mix(bricks, brush.colour((0.72, 0.69, 0.64)), mortar)


def ice(brush: Brush, base: Tensor) -> Tensor:
    cracks = brush.veins(3, 4, 16)
    body = _ramp(brush, brush.noise(3, 4), (0.45, 0.68, 0.85), (0.68, 0.86, 0.95), (0.88, 0.96, 0.99))
    return mix(body, brush.colour((0.96, 0.99, 1.0), 0.02), brush.number(0.3, 0.9) * cracks)


def snow(brush: Brush, base: Tensor) -> Tensor:
    return _ramp(brush, brush.noise(6, 4, 0.7), (0.80, 0.85, 0.93), (0.93, 0.95, 0.99), (1.0, 1.0, 1.0))


def lava(brush: Brush, base: Tensor) -> Tensor:
    _, gap, _ = brush.spots(9)
    heat = torch.maximum((-brush.number(12, 26) * gap).exp(), 0.9 * brush.veins(3, 4, 7)) + 0.35 * brush.noise(4) - 0.12
    return _ramp(brush, heat, (0.07, 0.03, 0.03), (0.30, 0.04, 0.02), (0.90, 0.22, 0.02), (1.0, 0.60, 0.08))


def fire(brush: Brush, base: Tensor) -> Tensor:
    flames = 0.75 * brush.noise((3, 6), 4) + 0.35 * (0.5 + 0.5 * torch.sin(2 * math.pi * (brush.v + brush.noise(2))))
    return _ramp(
        brush, flames, (0.45, 0.05, 0.01), (0.92, 0.25, 0.02), (1.0, 0.55, 0.05), (1.0, 0.88, 0.30), (1.0, 0.97, 0.70)
    )


def grass(brush: Brush, base: Tensor) -> Tensor:
    blades = 0.6 * brush.noise((6, 40), 2) + 0.4 * brush.noise((5, 22), 2)
    return _ramp(brush, blades, (0.07, 0.22, 0.04), (0.22, 0.50, 0.10), (0.48, 0.74, 0.22))


def moss(brush: Brush, base: Tensor) -> Tensor:
    clumps = 0.6 * brush.noise(10, 4, 0.75) + 0.4 * brush.noise(3)
    return _ramp(brush, clumps, (0.12, 0.17, 0.05), (0.28, 0.37, 0.09), (0.46, 0.54, 0.16))


def water(brush: Brush, base: Tensor) -> Tensor:
    ripples = 0.5 * brush.noise((7, 3), 3) + 0.6 * brush.veins(4, 2, 6)
    return _ramp(brush, ripples, (0.02, 0.22, 0.42), (0.08, 0.42, 0.62), (0.35, 0.68, 0.82), (0.85, 0.95, 1.0))


def galaxy(brush: Brush, base: Tensor) -> Tensor:
    cloud = brush.noise(3, 4) * brush.noise(2, 3)
    body = _ramp(brush, 1.5 * cloud, (0.03, 0.02, 0.09), (0.16, 0.06, 0.34), (0.45, 0.15, 0.55), (0.75, 0.45, 0.85))
    distance, _, shade = brush.spots(26)
    return mix(body, torch.ones(1), (-40 * distance).exp().pow(1.3) * 1.6 * shade).clamp(0, 1)


def rust(brush: Brush, base: Tensor) -> Tensor:
    patches = 0.5 * brush.noise(7, 5, 0.7) + 0.5 * brush.noise(3, 3)
    return _ramp(brush, patches, (0.22, 0.10, 0.06), (0.46, 0.20, 0.09), (0.64, 0.32, 0.13), (0.50, 0.38, 0.31))


def sand(brush: Brush, base: Tensor) -> Tensor:
    dunes = 0.5 + 0.5 * torch.sin(2 * math.pi * (brush.integer(4, 8) * brush.v + brush.noise(2)))
    grains = brush.number(0, 0.45) * dunes + 0.3 * brush.noise(32, 2) + 0.3 * brush.noise(3)
    return _ramp(brush, grains, (0.72, 0.58, 0.38), (0.86, 0.74, 0.52), (0.95, 0.86, 0.66))


def leather(brush: Brush, base: Tensor) -> Tensor:
    _, gap, shade = brush.spots(70)
    return base * (0.55 + 0.45 * step(gap, 0.015, 0.03)) * (0.85 + 0.25 * shade) * (0.85 + 0.3 * brush.noise(3))


def zebra(brush: Brush, base: Tensor) -> Tensor:
    wave = torch.sin(2 * math.pi * (brush.integer(3, 6) * brush.u + brush.number(0.4, 1.1) * brush.noise(2, 2)))
    return mix(brush.colour((0.06, 0.06, 0.06), 0.04), brush.colour((0.93, 0.92, 0.89), 0.05), step(wave, 0, 0.3))


def leopard(brush: Brush, base: Tensor) -> Tensor:
    distance, gap, _ = brush.spots(22)
    rim = step(gap, 0.05, 0.03) * step(distance, 0.03, 0.02) * step(brush.noise(12, 2), 0.35, 0.1)
    fur = _ramp(brush, brush.noise(4), (0.72, 0.50, 0.22), (0.86, 0.66, 0.36))
    return mix(mix(fur, 0.75 * fur, step(gap, 0.05, 0.03)), brush.colour((0.13, 0.08, 0.05)), rim)


def stripes(brush: Brush, base: Tensor) -> Tensor:
    wave = torch.sin(2 * math.pi * (brush.integer(2, 5) * brush.u + brush.number(0, 1)))
    return mix(base, brush.colour((0.93, 0.93, 0.92)), step(wave, 0, 0.2))


def checkers(brush: Brush, base: Tensor) -> Tensor:
    cells = 2 * brush.integer(2, 4)
    odd = ((brush.u * cells).floor() + (brush.v * cells).floor()).remainder(2)
    return mix(base, brush.colour((0.94, 0.94, 0.93)), odd)


def dots(brush: Brush, base: Tensor) -> Tensor:
    cells = brush.integer(4, 7)
    u, v = ((axis * cells).remainder(1) - 0.5 for axis in (brush.u, brush.v))
    return mix(base, brush.colour((0.95, 0.95, 0.94)), 1 - step((u.square() + v.square()).sqrt(), 0.3, 0.1))


def jade(brush: Brush, base: Tensor) -> Tensor:
    return _ramp(brush, brush.noise(3, 4), (0.12, 0.42, 0.30), (0.30, 0.62, 0.46), (0.58, 0.80, 0.66))


def denim(brush: Brush, base: Tensor) -> Tensor:
    weave = 0.5 + 0.5 * torch.sin(2 * math.pi * 22 * (brush.u + brush.v))
    return _ramp(
        brush, 0.35 * weave + 0.65 * brush.noise(8, 3), (0.12, 0.18, 0.34), (0.26, 0.36, 0.56), (0.50, 0.60, 0.76)
    )


def chocolate(brush: Brush, base: Tensor) -> Tensor:
    return brush.colour((0.27, 0.14, 0.07), 0.04) * (0.85 + 0.3 * brush.noise(2, 2))


@dataclass(frozen=True)
class Material:
    """How a material is painted and lit, and which plain colours it may rightly be called as well."""

    paint: Paint
    light: Literal["matte", "glossy", "metal", "glowing"] = "matte"
    also: tuple[str, ...] = ()
    """Colours that are neither right nor wrong for it: a gold bear is not called yellow, nor denied to be."""
    base: tuple[float, float, float] | None = None
    """The base colour when none is asked for; None: the texture has its own."""
    colours: bool = False
    """Whether it comes in any of `COLOURS` as well ("blue marble")."""
    ramp: tuple[tuple[float, float, float], ...] = ()
    """Metals: reflected colour from dark to bright surroundings, evenly spaced."""


MATERIALS: dict[str, Material] = {
    "gold": Material(
        metal,
        "metal",
        ("yellow",),
        ramp=((0.24, 0.12, 0.02), (0.62, 0.40, 0.06), (0.90, 0.68, 0.16), (1.0, 0.86, 0.38), (1.0, 0.97, 0.78)),
    ),
    "silver": Material(
        metal,
        "metal",
        ("gray", "white"),
        ramp=((0.10, 0.11, 0.13), (0.42, 0.44, 0.47), (0.68, 0.70, 0.73), (0.88, 0.90, 0.92), (1.0, 1.0, 1.0)),
    ),
    "bronze": Material(
        metal,
        "metal",
        ("brown",),
        ramp=((0.12, 0.07, 0.03), (0.34, 0.22, 0.10), (0.54, 0.38, 0.19), (0.74, 0.58, 0.34), (0.96, 0.86, 0.65)),
    ),
    "copper": Material(
        metal,
        "metal",
        ("orange", "brown"),
        ramp=((0.20, 0.07, 0.04), (0.52, 0.24, 0.14), (0.78, 0.43, 0.28), (0.94, 0.63, 0.47), (1.0, 0.88, 0.78)),
    ),
    "wood": Material(wood, also=("brown",)),
    "stone": Material(stone, also=("gray",)),
    "marble": Material(marble, "glossy", ("white", "gray"), (0.93, 0.92, 0.90), colours=True),
    "brick": Material(brick, also=("red", "brown", "orange"), base=(0.62, 0.24, 0.16), colours=True),
    "ice": Material(ice, "glossy", ("blue", "turquoise", "white")),
    "snow": Material(snow, also=("white",)),
    "lava": Material(lava, "glowing", ("red", "orange", "black")),
    "fire": Material(fire, "glowing", ("orange", "red", "yellow")),
    "grass": Material(grass, also=("green",)),
    "moss": Material(moss, also=("green",)),
    "water": Material(water, "glossy", ("blue", "turquoise")),
    "galaxy": Material(galaxy, "glowing", ("purple", "black", "blue")),
    "rust": Material(rust, also=("brown", "orange", "red")),
    "sand": Material(sand, also=("yellow", "brown")),
    "leather": Material(leather, "glossy", ("brown",), (0.42, 0.24, 0.12), colours=True),
    "zebra": Material(zebra, also=("black", "white", "gray")),
    "leopard": Material(leopard, also=("brown", "orange", "yellow")),
    "stripes": Material(stripes, base=(0.1, 0.1, 0.1), also=("black", "white"), colours=True),
    "checkers": Material(checkers, base=(0.06, 0.06, 0.06), also=("black", "white"), colours=True),
    "dots": Material(dots, base=(0.8, 0.1, 0.1), also=("red", "white"), colours=True),
    "jade": Material(jade, "glossy", ("green", "turquoise")),
    "denim": Material(denim, also=("blue", "gray")),
    "chocolate": Material(chocolate, "glossy", ("brown",)),
}
