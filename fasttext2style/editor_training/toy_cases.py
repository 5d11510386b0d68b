"""Edits of the toy scene of which everything is known: mask, target, instruction; as many as wanted, from a seed.

Only what the mask covers differs between a picture and its target: light and shadow that a thing throws on the deck
stay where they were.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editor_training.cases import EditCases
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.scene.rasterize import render, render_values
from fasttext2style.toy.geometry import (
    Points,
    ellipsoid,
    flat_gaussians,
    lit,
    noise,
    normals_of,
    rounded_box,
    sample_surface,
)
from fasttext2style.toy.scene import FOCUS, toy_scene

Kind = Literal["color", "material", "insertion", "removal", "replacement"]
KINDS: tuple[Kind, ...] = get_args(Kind)

COLORS = {
    "red": (0.82, 0.09, 0.07),
    "green": (0.12, 0.62, 0.15),
    "blue": (0.10, 0.16, 0.84),
    "yellow": (0.97, 0.89, 0.12),
    "purple": (0.52, 0.13, 0.72),
    "orange": (0.93, 0.47, 0.07),
}
"""sRGB where the light is neither bright nor dim."""
MATERIALS = {
    "gold": ((0.80, 0.56, 0.12), (1.00, 0.80, 0.28)),
    "ice": ((0.55, 0.71, 0.84), (0.78, 0.89, 0.96)),
    "wood": ((0.36, 0.22, 0.10), (0.60, 0.41, 0.24)),
    "grass": ((0.13, 0.36, 0.05), (0.34, 0.60, 0.16)),
}
"""Dark and light of a pattern, likewise."""
THINGS = ("bear", "ball", "box")
CLEAR = 0.004
"""Coverage up to which a pixel does not show a thing: half of 1/255."""
FOV_DEGREES = 40.0


@dataclass(frozen=True)
class _Stage:
    """The scene with nothing in its middle, and the things that can stand there."""

    rest: Gaussians
    things: dict[str, Gaussians]


def toy_cases(count: int, seed: int, size: int = 64, kinds: tuple[str, ...] = ("color", "material")) -> EditCases:
    """Pictures, exact masks, instructions and true targets; the kinds in turn, the rest drawn from the seed.

    Raises:
        ValueError: no such kind.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        raise ValueError(f"Kinds of edits are {', '.join(KINDS)}; got {', '.join(unknown) or 'none'}")
    draw, lots = random.Random(seed), []
    while len(lots) < count:
        number = len(lots)
        lots.append(_case(draw, kinds[number % len(kinds)], size, f"{seed}.{number}"))
    return EditCases.concatenated(lots)


def _case(draw: random.Random, kind: str, size: int, name: str) -> EditCases:
    stage = _stage(draw.randrange(3))
    thing = draw.choice(THINGS)
    other = draw.choice([another for another in THINGS if another != thing])
    present = stage.things[thing]
    before: Gaussians | None = present
    if kind == "color":
        look = draw.choice(list(COLORS))
        after, said, caption = _painted(present, look), f"make the {thing} {look}", f"a {look} {thing}"
    elif kind == "material":
        look = draw.choice(list(MATERIALS))
        after, said, caption = _painted(present, look), f"turn the {thing} into {look}", f"a {thing} made of {look}"
    elif kind == "replacement":
        after, said, caption = stage.things[other], f"replace the {thing} with a {other}", f"a {other} on a deck"
    elif kind == "removal":
        after, said, caption = None, f"remove the {thing}", "an empty wooden deck"
    else:
        before, after, said, caption = None, present, f"put a {thing} on the deck", f"a {thing} on a deck"
    camera = _camera(draw, size)
    picture, seen = _seen(stage.rest, before, camera)
    target, seen_after = _seen(stage.rest, after, camera)
    masks = torch.maximum(seen, seen_after)
    masks = torch.where(masks > CLEAR, masks, 0.0)
    return EditCases(
        picture,
        masks,
        (said,),
        # The same to the bit where the mask says so, and not up to the last digits of a renderer.
        torch.where(masks > 0, target, picture),
        (caption,),
        (name,),
    )


def _camera(draw: random.Random, size: int) -> Cameras:
    """One view of the middle, from any side, near or far, not quite centred."""
    azimuth, elevation = draw.uniform(0, 2 * math.pi), math.radians(draw.uniform(6, 45))
    away = torch.tensor(
        [math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation), math.sin(elevation)]
    )
    focus = torch.tensor(FOCUS)
    target = focus + torch.tensor([draw.uniform(-0.15, 0.15) for _ in range(3)])
    position = focus + draw.uniform(2.3, 3.4) * away
    return Cameras.looking_at(position[None], target[None], size, size, fov_degrees=FOV_DEGREES)


@torch.no_grad()
def _seen(
    rest: Gaussians, thing: Gaussians | None, camera: Cameras
) -> tuple[Float[Tensor, "1 height width 3"], Float[Tensor, "1 height width 1"]]:
    """A picture, and how much of each pixel shows the thing."""
    if thing is None:
        picture = render(rest, camera)[0].clamp(0, 1)
        return picture, torch.zeros_like(picture[..., :1])
    scene = Gaussians.concatenated([thing, rest])
    is_thing = torch.zeros(len(scene), 1)
    is_thing[: len(thing)] = 1
    return render(scene, camera)[0].clamp(0, 1), render_values(scene, camera, is_thing)[0].clamp(0, 1)


@cache
def _stage(clutter: Literal[0, 1, 2]) -> _Stage:
    scene = toy_scene(seed=clutter, clutter=clutter, width=16, height=16, train_views=1, test_views=1, path_views=1)
    of_statue = scene.object_weights > 0
    generator = torch.Generator().manual_seed(clutter)
    return _Stage(
        scene.gaussians.subset(~of_statue),
        {
            "bear": scene.gaussians.subset(of_statue),
            "ball": _thing(ellipsoid((0.05, 0.0, 0.52), (0.5, 0.5, 0.5)), generator),
            "box": _thing(rounded_box((0.05, 0.0, 0.45), (0.45, 0.45, 0.45), 0.04, 0.4), generator),
        },
    )


def _thing(distance: Callable[[Points], Tensor], generator: torch.Generator) -> Gaussians:
    """Of the statue's grey stone."""

    def occluders(points: Points) -> Float[Tensor, " points"]:
        return torch.minimum(distance(points), points[:, 2])

    points = sample_surface(distance, (-0.75, -0.75, 0.004), (0.85, 0.75, 1.2), 5_000, generator)
    normals, _ = normals_of(distance, points)
    grains = 0.03 * torch.randn(len(points), 1, generator=generator)
    albedo = (0.31 + grains) * torch.tensor([[0.97, 1.0, 1.04]])
    return flat_gaussians(points, normals, lit(albedo, points, normals, occluders), 0.62, gloss=0.03)


def _painted(thing: Gaussians, look: str) -> Gaussians:
    """The thing in another look, in the same light: what the stone's brightness was, the look's is."""
    stone = (SH_C0 * thing.sh_dc + 0.5).clamp(0, 1).mean(dim=1, keepdim=True)
    shade = stone / stone.mean()
    if look in COLORS:
        color = torch.tensor([COLORS[look]])
    else:
        dark, light = (torch.tensor([tone]) for tone in MATERIALS[look])
        color = torch.lerp(dark, light, torch.sigmoid(1.5 * noise(thing.means, 6.0, seed=7))[:, None])
    return replace(thing, sh_dc=((shade.clamp(0.3, 1.5) * color).clamp(0, 1) - 0.5) / SH_C0)
