"""Solid shapes seen by an orthographic camera: which pixels they cover, where their surface is and how it is turned.

A shape is a list of ellipsoids, boxes and cylinders. View space: x right, y up, z towards the camera; the picture spans
[-1, 1] in x and y. Rays meet the parts exactly (a quadratic or three slabs per pixel and part): nothing is marched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from materials import Brush
from torch import Tensor

ELLIPSOID, BOX, CYLINDER = 0, 1, 2
PARTS = 14


@dataclass(frozen=True)
class Surfaces:
    """What the camera sees of each shape."""

    positions: Tensor
    """[count, 3, size, size], in the shape's own coordinates, so that a texture sits fast on it."""
    normals: Tensor
    """[count, 3, size, size], view space, unit length."""
    covered: Tensor
    """[count, 1, size, size], 1 on the shape, 0 beside it."""

    def pick(self, indices: Tensor) -> Surfaces:
        return Surfaces(self.positions[indices].float(), self.normals[indices].float(), self.covered[indices].float())


def random_surfaces(count: int, size: int, generator: torch.Generator) -> Surfaces:
    """A mixed lot: animals, furniture-like assemblies, heaps of balls, single solids, walls that fill the picture."""
    kinds = [_animal, _animal, _assembly, _heap, _single]
    lots = [_cast(kinds[i % len(kinds)](_share(count, i), generator), size, generator) for i in range(6)]
    lots.append(_walls(_share(count, 6), size, generator))
    fields = zip(*[(lot.positions.half(), lot.normals.half(), lot.covered.half()) for lot in lots])
    return Surfaces(*(torch.cat(field) for field in fields))


def _share(count: int, lot: int, lots: int = 7) -> int:
    return count // lots + (lot < count % lots)


@dataclass(frozen=True)
class _Parts:
    """Parts of shapes, in the shapes' own coordinates: unit solids, scaled, turned and moved. Kind -1 is no part."""

    kinds: Tensor  # [count, PARTS]
    centres: Tensor  # [count, PARTS, 3]
    radii: Tensor  # [count, PARTS, 3]
    turns: Tensor  # [count, PARTS, 3, 3]


def _animal(count: int, generator: torch.Generator) -> _Parts:
    """Sitting bears to standing dogs: body, head, muzzle, ears, limbs, tail, all ellipsoids; y up, facing +z."""

    def number(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    fat, tall, head, limb, long = (
        number(0.3, 0.5),
        number(0.38, 0.6),
        number(0.24, 0.36),
        number(0.1, 0.2),
        number(0.2, 0.42),
    )
    upright = torch.rand(count, generator=generator) < 0.65
    zero = torch.zeros(count)
    body = (zero, zero, zero, fat, torch.where(upright, tall, fat), torch.where(upright, fat, tall * 1.2))
    head_y = torch.where(upright, tall + 0.6 * head, 0.9 * fat + 0.3 * head)
    head_z = torch.where(upright, zero, tall * 1.1)
    parts = [body, (zero, head_y, head_z, head, head * number(0.85, 1.1), head)]
    parts.append((zero, head_y - 0.25 * head, head_z + 0.85 * head, 0.45 * head, 0.35 * head, number(0.3, 0.6) * head))
    ear = number(0.25, 0.55)
    for side in (-1, 1):
        parts.append((side * 0.7 * head, head_y + 0.8 * head, head_z, 0.35 * head, ear * head, 0.2 * head))
        arm_y, arm_z = torch.where(upright, 0.3 * tall, -0.7 * fat), torch.where(upright, 0.4 * fat, 0.6 * tall)
        parts.append(
            (
                side * torch.where(upright, 0.95, 0.55) * fat,
                arm_y,
                arm_z,
                limb,
                torch.where(upright, limb, long),
                limb * 1.5,
            )
        )
        leg_y, leg_z = torch.where(upright, -0.85 * tall, -0.7 * fat), torch.where(upright, 0.5 * fat, -0.8 * tall)
        parts.append((side * 0.55 * fat, leg_y, leg_z, 1.15 * limb, torch.where(upright, limb * 1.2, long), long * 0.8))
    parts.append(
        (zero, torch.where(upright, -0.6 * tall, 0.2 * fat), -torch.where(upright, fat, 1.2 * tall), limb, limb, limb)
    )
    stacked = torch.stack([torch.stack(part, -1) for part in parts], 1)
    return _padded(torch.zeros(stacked.shape[:2]), stacked[..., :3], stacked[..., 3:], None, generator)


def _assembly(count: int, generator: torch.Generator) -> _Parts:
    """Chairs, lorries, houses and nonsense: boxes and cylinders square to one another."""
    parts = 9
    kinds = torch.where(torch.rand(count, parts, generator=generator) < 0.65, BOX, CYLINDER)
    centres = torch.rand(count, parts, 3, generator=generator) * 1.3 - 0.65
    radii = 0.08 + 0.4 * torch.rand(count, parts, 3, generator=generator) ** 1.5
    present = torch.arange(parts) < torch.randint(3, parts + 1, (count, 1), generator=generator)
    return _padded(torch.where(present, kinds, -1), centres, radii, None, generator)


def _heap(count: int, generator: torch.Generator) -> _Parts:
    """Balls and eggs grown together: blobs, fruit, clouds, trees."""
    parts = 10
    centres = torch.randn(count, parts, 3, generator=generator) * 0.33
    radii = 0.16 + 0.34 * torch.rand(count, parts, 3, generator=generator)
    present = torch.arange(parts) < torch.randint(2, parts + 1, (count, 1), generator=generator)
    return _padded(
        torch.where(present, ELLIPSOID, -1), centres, radii, _rotations((count, parts), generator), generator
    )


def _single(count: int, generator: torch.Generator) -> _Parts:
    """One ball, box, egg, plate or column."""
    kinds = torch.randint(0, 3, (count, 1), generator=generator)
    radii = 0.35 + 0.45 * torch.rand(count, 1, 3, generator=generator)
    radii = torch.where(torch.rand(count, 1, 1, generator=generator) < 0.4, radii[..., :1].expand_as(radii), radii)
    return _padded(kinds, torch.zeros(count, 1, 3), radii, None, generator)


def _padded(kinds: Tensor, centres: Tensor, radii: Tensor, turns: Tensor | None, generator: torch.Generator) -> _Parts:
    count, parts = kinds.shape
    if turns is None:
        turns = torch.eye(3).expand(count, parts, 3, 3)
    missing = PARTS - parts
    return _Parts(
        torch.cat([kinds.float(), -torch.ones(count, missing)], 1),
        torch.cat([centres, torch.zeros(count, missing, 3)], 1),
        torch.cat([radii, torch.ones(count, missing, 3)], 1),
        torch.cat([turns, torch.eye(3).expand(count, missing, 3, 3)], 1),
    )


def _rotations(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    q, _ = torch.linalg.qr(torch.randn(*shape, 3, 3, generator=generator))
    return q


def _orbit(count: int, generator: torch.Generator) -> Tensor:
    """Rotations from shape to view: any side, from a little below to well above, seldom quite upside down."""
    azimuth = 2 * math.pi * torch.rand(count, generator=generator)
    elevation = torch.deg2rad(-15 + 65 * torch.rand(count, generator=generator))
    roll = 0.15 * torch.randn(count, generator=generator)
    zero, one = torch.zeros(count), torch.ones(count)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).view(count, 3, 3)

    turn = matrix(azimuth.cos(), zero, azimuth.sin(), zero, one, zero, -azimuth.sin(), zero, azimuth.cos())
    tilt = matrix(one, zero, zero, zero, elevation.cos(), -elevation.sin(), zero, elevation.sin(), elevation.cos())
    lean = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return lean @ tilt @ turn


def _cast(parts: _Parts, size: int, generator: torch.Generator) -> Surfaces:
    """Nearest surface along each pixel's ray."""
    count = len(parts.kinds)
    view = _orbit(count, generator)
    zoom = 0.75 + 0.75 * torch.rand(count, generator=generator)
    shift = (torch.rand(count, 2, generator=generator) - 0.5) * 0.4
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    down, right = torch.meshgrid(axis, axis, indexing="ij")
    # Rays in shape units: the picture's plane divided by the zoom, looking along -z of the view.
    plane = torch.stack([right.flatten(), -down.flatten()], -1)[None] / zoom[:, None, None] - shift[:, None]
    rays = torch.cat([plane, torch.zeros_like(plane[..., :1])], -1)
    depth = torch.full((count, size * size), -torch.inf)
    normals = torch.zeros(count, size * size, 3)
    for part in range(PARTS):
        kind = parts.kinds[:, part]
        chosen = (kind >= 0).nonzero().squeeze(1)
        if len(chosen) == 0:
            continue
        # Rows of `into` map view space into the part's unit solid.
        into = (parts.turns[chosen, part].mT @ view[chosen].mT) / parts.radii[chosen, part, :, None]
        origin = (
            rays[chosen] @ into.mT
            - (parts.turns[chosen, part].mT @ parts.centres[chosen, part, :, None]).mT / parts.radii[chosen, part, None]
        )
        z, normal = _meet(kind[chosen].long(), origin, into[:, None, :, 2])
        normal = normal @ into
        nearer = z > depth[chosen]
        depth[chosen] = torch.where(nearer, z, depth[chosen])
        normals[chosen] = torch.where(nearer[..., None], normal, normals[chosen])
    covered = depth.isfinite()
    points = rays + torch.where(covered, depth, 0.0)[..., None] * torch.tensor([0.0, 0.0, 1.0])
    positions = points @ view  # view is orthogonal: x_shape = view^T x_view
    normals = normals / normals.norm(dim=-1, keepdim=True).clamp(min=1e-6)

    def image(values: Tensor) -> Tensor:
        return values.mT.reshape(count, -1, size, size)

    return Surfaces(image(positions), image(normals), image(covered.float()[..., None]))


def _meet(kinds: Tensor, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Largest z where origin + z direction lies on the unit ball, cube or cylinder (about its y axis); -inf: a miss.

    Returns z [count, rays] and the outward normal [count, rays, 3] in the solid's coordinates.
    """
    kinds = kinds[:, None]
    round_axes = torch.where(kinds == CYLINDER, torch.tensor([[1.0, 0.0, 1.0]]), torch.ones(1, 3))[:, None]
    a = (direction.square() * round_axes).sum(-1)
    b = (origin * direction * round_axes).sum(-1)
    c = (origin.square() * round_axes).sum(-1) - 1
    root = b.square() - a * c
    half = root.clamp(min=0).sqrt()
    leave_round, enter_round = (-b + half) / a.clamp(min=1e-9), (-b - half) / a.clamp(min=1e-9)
    miss_round = root < 0
    slope = torch.where(direction.abs() < 1e-6, 1e-6, direction)
    leave_slabs, enter_slabs = ((slope.sign() * s - origin) / slope for s in (1, -1))
    flat = torch.where(kinds == CYLINDER, torch.tensor([[0.0, 1.0, 0.0]]), torch.ones(1, 3))[:, None] > 0
    leave_flat, axis = torch.where(flat, leave_slabs, torch.inf).min(-1)
    enter_flat = torch.where(flat, enter_slabs, -torch.inf).amax(-1)
    face = torch.nn.functional.one_hot(axis, 3) * slope.sign()
    bent = origin + leave_round[..., None] * direction
    bent = bent * round_axes
    is_ball, is_cylinder = kinds == ELLIPSOID, kinds == CYLINDER
    leave = torch.where(
        is_ball, leave_round, torch.where(is_cylinder, torch.minimum(leave_round, leave_flat), leave_flat)
    )
    enter = torch.where(
        is_ball, enter_round, torch.where(is_cylinder, torch.maximum(enter_round, enter_flat), enter_flat)
    )
    miss = (leave <= enter) | (miss_round & (kinds != BOX))
    on_round = is_ball | (is_cylinder & (leave_round < leave_flat))
    return torch.where(miss, -torch.inf, leave), torch.where(on_round[..., None], bent, face.float())


def _walls(count: int, size: int, generator: torch.Generator) -> Surfaces:
    """Bumpy ground that fills the picture, for textures without an outline."""
    brush = Brush(generator, count, size)
    height = brush.number(0, 0.25) * brush.noise(3, 2)
    slope_x = (height.roll(-1, 3) - height.roll(1, 3)) * size / 4
    slope_y = (height.roll(-1, 2) - height.roll(1, 2)) * size / 4
    tilt = brush.number(-0.5, 0.5, 2)
    normals = torch.cat([-slope_x + tilt[:, :1], slope_y + tilt[:, 1:], torch.ones_like(height)], 1)
    positions = torch.cat([2 * brush.u.expand_as(height) - 1, 1 - 2 * brush.v.expand_as(height), height], 1)
    return Surfaces(positions, normals / normals.norm(dim=1, keepdim=True), torch.ones_like(height))
