"""Scenes as people capture them and as reconstructions leave them: from one side, before walls, foggy, sparse."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.toy.geometry import (
    Distance,
    blend,
    cone,
    ellipsoid,
    flat_gaussians,
    lit,
    noise,
    normals_of,
    rounded_box,
    sample_surface,
)


@dataclass(frozen=True)
class HardScene:
    gaussians: Gaussians
    exact: Tensor
    """[gaussians] 1 for the object."""
    cameras: Cameras


def bust(generator: torch.Generator) -> HardScene:
    """Head and shoulders before a wall, seen from the front, cut off by the frame: a face."""
    body = [ellipsoid((0.15, 0, 0.58), (0.04, 0.03, 0.05)), ellipsoid((0, 0, 0.4), (0.08, 0.08, 0.14))]
    body += [ellipsoid((0, 0, 0.6), (0.16, 0.14, 0.2)), ellipsoid((-0.02, 0, 0.16), (0.16, 0.36, 0.2))]
    body += [ellipsoid((-0.02, 0, -0.25), (0.17, 0.3, 0.4))]
    person = _thing(blend(body, 0.03), (-0.5, -0.6, -0.6), (0.5, 0.6, 0.9), 4500, (0.75, 0.55, 0.45), generator)
    wall = _flat("x", -1.2, (-2.5, 2.5), (-1.5, 2.5), 4500, (0.5, 0.6, 0.55), generator)
    return _scene([person], [wall], _arc((0, 0, 0.5), 1.1, 14, 70, (0, 10, -5)))


def portrait(generator: torch.Generator) -> HardScene:
    """The bust from 60 degrees, things behind it whose tops are as high as its shoulders."""
    scene = bust(generator)
    others = [scene.gaussians.subset((scene.exact == 0).nonzero()[:, 0])]
    behind = [
        (rounded_box((-0.75, 0.5, 0.3), (0.12, 0.2, 0.5), 0.02), (0.5, 0.3, 0.2)),
        (ellipsoid((-0.6, -0.45, 0.75), (0.15, 0.15, 0.2)), (0.2, 0.5, 0.2)),
        (ellipsoid((-0.7, -0.1, 0.95), (0.2, 0.2, 0.12)), (0.8, 0.75, 0.3)),
        (rounded_box((-0.65, -0.55, 0.2), (0.1, 0.15, 0.3), 0.02), (0.6, 0.2, 0.3)),
    ]
    for distance, color in behind:
        others.append(_thing(distance, (-1.1, -0.9, -0.4), (-0.3, 0.9, 1.3), 900, color, generator))
    person = scene.gaussians.subset((scene.exact > 0).nonzero()[:, 0])
    return _scene([person], others, _arc((0, 0, 0.5), 1.1, 14, 60, (0, 10, -5)))


def trophy(generator: torch.Generator) -> HardScene:
    """A head on a wall, which it touches."""
    body = [ellipsoid((0, 0, 0), (0.35, 0.2, 0.2)), ellipsoid((0.3, 0, -0.05), (0.16, 0.09, 0.08))]
    body += [ellipsoid((-0.1, side * 0.15, 0.22), (0.05, 0.06, 0.12)) for side in (-1, 1)]
    body += [ellipsoid((-0.35, 0, -0.1), (0.2, 0.25, 0.3))]
    head = _thing(blend(body, 0.03), (-0.7, -0.5, -0.6), (0.7, 0.5, 0.5), 4500, (0.8, 0.4, 0.15), generator)
    wall = _flat("x", -0.55, (-2, 2), (-1.5, 1.5), 4500, (0.85, 0.85, 0.8), generator)
    return _scene([head], [wall], _arc((0, 0, 0), 1.4, 14, 90, (0, 20, -10, 10)))


def table(generator: torch.Generator) -> HardScene:
    """A vase on a table with clutter on and under it."""
    vase = blend([ellipsoid((0, 0, 0.95), (0.14, 0.14, 0.2)), ellipsoid((0, 0, 1.15), (0.07, 0.07, 0.12))], 0.03)
    legs = [rounded_box((x, y, 0.34), (0.03, 0.03, 0.34), 0.005) for x in (-0.65, 0.65) for y in (-0.42, 0.42)]
    wood = blend([rounded_box((0, 0, 0.7), (0.75, 0.5, 0.03), 0.01), *legs], 0.01)
    parts = [_thing(wood, (-0.9, -0.7, 0), (0.9, 0.7, 0.8), 5000, (0.5, 0.3, 0.15), generator)]
    for center, radius in (((0.35, 0.2, 0.8), 0.07), ((-0.2, -0.25, 0.78), 0.05), ((0.3, 0.1, 0.15), 0.15)):
        low, high = ([value + sign * 1.5 * radius for value in center] for sign in (-1, 1))
        ball = ellipsoid(center, (radius,) * 3)
        parts.append(_thing(ball, tuple(low), tuple(high), 800, (0.8, 0.3, 0.2), generator))
    parts.append(_flat("z", 0.0, (-2.5, 2.5), (-2.5, 2.5), 5000, (0.4, 0.45, 0.35), generator))
    thing = _thing(vase, (-0.3, -0.3, 0.73), (0.3, 0.3, 1.4), 3000, (0.2, 0.3, 0.7), generator)
    return _scene([thing], parts, _arc((0, 0, 0.95), 1.6, 16, 338, (15, 35)))


def plinth(generator: torch.Generator) -> HardScene:
    """A figure on a plinth that is taller than it: the object is all of both."""
    figure = blend([ellipsoid((0, 0, 1.1), (0.4, 0.2, 0.2)), ellipsoid((0.4, 0, 1.3), (0.15, 0.12, 0.15))], 0.03)
    legs = [rounded_box((x, y, 0.9), (0.05, 0.05, 0.15), 0.02) for x in (-0.25, 0.25) for y in (-0.1, 0.1)]
    statue = blend([figure, *legs], 0.02)
    things = [_thing(statue, (-0.6, -0.4, 0.79), (0.8, 0.4, 1.6), 4000, (0.4, 0.4, 0.42), generator)]
    stone = rounded_box((0.05, 0, 0.4), (0.55, 0.3, 0.4), 0.02)
    things.append(_thing(stone, (-0.7, -0.5, 0), (0.8, 0.5, 0.9), 4000, (0.55, 0.53, 0.5), generator))
    ground = _flat("z", 0.0, (-3, 3), (-3, 3), 5000, (0.3, 0.4, 0.2), generator)
    return _scene(things, [ground], _arc((0, 0, 0.9), 2.9, 16, 338, (10, 25)))


def face(generator: torch.Generator) -> HardScene:
    """A head with hair, ears and nose on shoulders, in a room, seen from a half circle before it."""
    skin = [ellipsoid((0, 0, 0.6), (0.15, 0.125, 0.19)), ellipsoid((0, 0, 0.4), (0.075, 0.075, 0.14))]
    skin += [ellipsoid((0.155, 0, 0.58), (0.04, 0.028, 0.045)), ellipsoid((0.11, 0, 0.49), (0.06, 0.06, 0.045))]
    skin += [ellipsoid((-0.01, side * 0.13, 0.59), (0.03, 0.02, 0.045)) for side in (-1, 1)]
    hair = blend(
        [ellipsoid((-0.04, 0, 0.67), (0.16, 0.15, 0.15)), ellipsoid((-0.1, 0, 0.55), (0.09, 0.12, 0.16))], 0.02
    )
    shirt = [ellipsoid((-0.02, 0, 0.16), (0.15, 0.34, 0.16)), ellipsoid((-0.02, 0, -0.25), (0.17, 0.28, 0.4))]
    things = [_thing(blend(skin, 0.02), (-0.3, -0.3, 0.2), (0.3, 0.3, 0.9), 3500, (0.75, 0.52, 0.42), generator)]
    things.append(_thing(hair, (-0.3, -0.3, 0.3), (0.2, 0.3, 0.95), 2000, (0.14, 0.09, 0.06), generator))
    things.append(_thing(blend(shirt, 0.03), (-0.4, -0.5, -0.7), (0.4, 0.5, 0.5), 4000, (0.2, 0.28, 0.5), generator))
    room = [_flat("x", -1.6, (-3, 3), (-1.2, 2.2), 4000, (0.6, 0.6, 0.52), generator)]
    room += [_flat("y", side * 3.0, (-1.6, 3), (-1.2, 2.2), 3000, (0.45, 0.52, 0.6), generator) for side in (-1, 1)]
    room.append(_flat("z", -1.2, (-1.6, 3), (-3, 3), 3000, (0.4, 0.3, 0.2), generator))
    shelf = blend(
        [rounded_box((-1.4, 0.9, 0.5), (0.15, 0.5, 0.6), 0.02), rounded_box((-1.3, -1, 0), (0.2, 0.2, 0.8), 0.02)]
    )
    room.append(_thing(shelf, (-1.6, -1.4, -1.2), (-1.0, 1.5, 1.2), 3000, (0.45, 0.28, 0.12), generator))
    return _scene(things, room, _arc((0, 0, 0.5), 1.15, 20, 160, (0, 12, -6, 5)))


def desk(generator: torch.Generator) -> HardScene:
    """A lamp among books, a mug, a plate and a ball on a desk, seen from unlike heights and distances."""
    foot = [cone((0, 0, 0.73), 0.16, 0.05, 0.06), ellipsoid((0, 0, 0.95), (0.03, 0.03, 0.2))]
    lamp = blend([*foot, cone((0, 0, 1.08), 0.2, 0.1, 0.22)], 0.01)
    wood = blend(
        [rounded_box((0, 0, 0.7), (0.9, 0.6, 0.03), 0.01), rounded_box((0.6, 0, 0.34), (0.2, 0.5, 0.33), 0.02)]
    )
    parts = [_thing(wood, (-1, -0.7, 0), (1, 0.7, 0.8), 5000, (0.55, 0.4, 0.22), generator)]
    clutter = [
        (rounded_box((-0.5, 0.2, 0.77), (0.17, 0.12, 0.04), 0.01, 0.4), (0.2, 0.5, 0.3)),
        (rounded_box((-0.48, 0.18, 0.83), (0.15, 0.11, 0.02), 0.01, 0.9), (0.6, 0.15, 0.15)),
        (cone((0.45, -0.3, 0.73), 0.06, 0.065, 0.13), (0.85, 0.85, 0.8)),
        (cone((0.4, 0.3, 0.73), 0.1, 0.15, 0.03), (0.3, 0.5, 0.7)),
        (ellipsoid((-0.3, -0.35, 0.8), (0.07, 0.07, 0.07)), (0.9, 0.6, 0.1)),
    ]
    for distance, color in clutter:
        parts.append(_thing(distance, (-0.75, -0.5, 0.72), (0.65, 0.5, 0.95), 700, color, generator))
    parts.append(_flat("z", 0.0, (-3, 3), (-3, 3), 5000, (0.4, 0.42, 0.45), generator))
    thing = _thing(lamp, (-0.3, -0.3, 0.735), (0.3, 0.3, 1.35), 3000, (0.8, 0.25, 0.2), generator)
    views = [_arc((0, 0, 0.95), radius, 8, 315, heights) for radius, heights in ((1.4, (8, 45)), (1.9, (25, 60, 12)))]
    views.append(_arc((0.1, 0, 0.85), 1.2, 6, 200, (35, 20)))
    return _scene([thing], parts, Cameras.concatenated(views))


def corner(generator: torch.Generator) -> HardScene:
    """The plinth's figure seen from 60 degrees alone."""
    return replace(plinth(generator), cameras=_arc((0, 0, 0.9), 2.9, 16, 60, (10, 25)))


SCENES: dict[str, Callable[[torch.Generator], HardScene]] = {
    "bust": bust,
    "portrait": portrait,
    "trophy": trophy,
    "table": table,
    "plinth": plinth,
    "face": face,
    "desk": desk,
    "corner": corner,
}


def reconstructed(scene: HardScene, generator: torch.Generator, shake: float = 0.01, debris: float = 0.05) -> HardScene:
    """As optimization leaves a scene: places shaken, surfaces half transparent, debris in the air."""
    gaussians, count = scene.gaussians, len(scene.gaussians)
    opacities = 0.25 + 0.7 * torch.rand(count, generator=generator)
    shaken = gaussians.means + shake * torch.randn(count, 3, generator=generator)
    gaussians = replace(gaussians, means=shaken, logit_opacities=opacities.logit())
    loose = gaussians.subset(torch.randint(count, (int(debris * count),), generator=generator))
    low, high = (torch.quantile(shaken, share, dim=0) for share in (0.02, 0.98))
    places = low + torch.rand(len(loose), 3, generator=generator) * (high - low)
    faint = torch.full((len(loose),), 0.18).logit()
    loose = replace(loose, means=places, logit_opacities=faint, log_scales=loose.log_scales + 0.7)
    return _with(scene, loose, gaussians)


def foggy(scene: HardScene, generator: torch.Generator, count: int = 40) -> HardScene:
    """Large faint Gaussians hang before the cameras."""
    views = torch.randint(len(scene.cameras), (count,), generator=generator)
    fog = scene.gaussians.subset(torch.randint(len(scene.gaussians), (count,), generator=generator))
    places = scene.cameras.centers[views] + 0.35 * scene.cameras.directions[views]
    places = places + 0.1 * torch.randn(count, 3, generator=generator)
    sizes, faint = torch.full((count, 3), -2.0), torch.full((count,), 0.12).logit()
    return _with(scene, replace(fog, means=places, log_scales=sizes, logit_opacities=faint))


def sparse(scene: HardScene, generator: torch.Generator, share: float = 0.3) -> HardScene:
    """Few Gaussians, larger ones."""
    kept = torch.rand(len(scene.exact), generator=generator) < share
    few = scene.gaussians.subset(kept)
    return replace(scene, gaussians=replace(few, log_scales=few.log_scales + 0.6), exact=scene.exact[kept])


def from_parallel_views(scene: HardScene, generator: torch.Generator, count: int = 12) -> HardScene:
    """The camera is only shifted, never turned."""
    middle = scene.cameras[len(scene.cameras) // 2]
    viewmats = middle.viewmats.repeat(count, 1, 1)
    shifts = torch.rand(count, 2, generator=generator) - 0.5
    viewmats[:, :2, 3] += shifts * torch.tensor([0.7, 0.4])
    return replace(scene, cameras=Cameras(viewmats, middle.Ks.repeat(count, 1, 1), middle.width, middle.height))


def _scene(things: list[Gaussians], others: list[Gaussians], cameras: Cameras) -> HardScene:
    gaussians = Gaussians.concatenated([*things, *others])
    exact = torch.zeros(len(gaussians))
    exact[: sum(map(len, things))] = 1.0
    return HardScene(gaussians, exact, cameras)


def _with(scene: HardScene, more: Gaussians, gaussians: Gaussians | None = None) -> HardScene:
    together = Gaussians.concatenated([gaussians or scene.gaussians, more])
    return replace(scene, gaussians=together, exact=torch.cat([scene.exact, torch.zeros(len(more))]))


def _thing(distance: Distance, low, high, count: int, color, generator: torch.Generator) -> Gaussians:
    points = sample_surface(distance, low, high, count, generator)
    normals, _ = normals_of(distance, points)
    albedo = torch.tensor([color]) * (1 + 0.1 * noise(points, 6.0, 1)[:, None])
    return flat_gaussians(points, normals, lit(albedo, points, normals, distance), 0.62)


def _flat(axis: str, where: float, one, other, count: int, color, generator: torch.Generator) -> Gaussians:
    """A rectangle across an axis, `one` and `other` its extent along the two other ones."""
    drawn = torch.rand(count, 2, generator=generator)
    sides = torch.tensor([one, other])
    plane = sides[:, 0] + drawn * (sides[:, 1] - sides[:, 0])
    at = "xyz".index(axis)
    points = torch.cat([plane[:, :at], torch.full((count, 1), where), plane[:, at:]], dim=1)
    normals = torch.nn.functional.one_hot(torch.tensor(at), 3).float().expand_as(points)
    size = 0.8 * math.sqrt(float((sides[:, 1] - sides[:, 0]).prod()) / count)
    albedo = torch.tensor([color]) * (1 + 0.3 * noise(points, 3.0, 5)[:, None])
    return flat_gaussians(points, normals, albedo.clamp(0, 1), torch.full((count, 2), size))


def _arc(focus, radius: float, count: int, span: float, elevations: tuple[float, ...]) -> Cameras:
    """Views from so many degrees around the x axis."""
    degrees = [(span * (view / (count - 1) - 0.5), elevations[view % len(elevations)]) for view in range(count)]
    size = {"width": 96, "height": 96, "fov_degrees": 45.0}
    views = [Cameras.orbit(focus, radius, 1, elevation_degrees=float(e), start_degrees=a, **size) for a, e in degrees]
    return Cameras.concatenated(views)
