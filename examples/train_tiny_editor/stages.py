"""What a camera sees of an object, apart from what the object is painted with.

A stage keeps where each pixel lies on the object, how the surface is turned and how much light falls on it, and what
is seen beside the object. Painting it with two looks gives a picture before and after an edit, equal in all else.
Pictures are [count, channels, size, size], sRGB in [0, 1]; view space is x right, y up, z towards the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from encoder_parts import Brush, mix, random_surfaces
from torch import Tensor
from torch.nn import functional

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.scene.rasterize import render, render_values
from fasttext2style.toy.scene import FOCUS, ToyScene, toy_scene

GRANITE = 0.62
"""sRGB level of the toy scene's statue where it is neither lit strongly nor in shadow: there its shade counts as 1."""


@dataclass(frozen=True)
class Stages:
    positions: Tensor
    """[count, 3, size, size], in the object's own coordinates, about [-1, 1]."""
    normals: Tensor
    """[count, 3, size, size], view space, unit length."""
    shade: Tensor
    """[count, 1, size, size]: what light and shadow multiply the object's colours by."""
    coverage: Tensor
    """[count, 1, size, size] in [0, 1]."""
    surroundings: Tensor
    """[count, 3, size, size]: the picture with the object black."""
    original: Tensor
    """[count, 3, size, size]: the object's own colours, where it has any, else a mid grey."""

    def __len__(self) -> int:
        return len(self.positions)

    def pick(self, indices: Tensor) -> Stages:
        return Stages(*(getattr(self, field.name)[indices].float() for field in fields(self)))

    @staticmethod
    def concatenated(parts: list[Stages]) -> Stages:
        return Stages(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Stages)))


def toy_stages(count: int, size: int, generator: torch.Generator) -> Stages:
    """The statue of the toy scene from all sides, near and far, with more or less beside it."""
    parts = []
    for clutter, share in ((0, count // 3), (1, count // 3), (2, count - 2 * (count // 3))):
        scene, cameras = toy_scene(seed=clutter, clutter=clutter), _cameras(share, size, generator)
        parts += [_stages_of(scene, cameras[start : start + 32]) for start in range(0, share, 32)]
    return Stages.concatenated(parts)


def _cameras(count: int, size: int, generator: torch.Generator) -> Cameras:
    def number(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    azimuth, elevation, radius = number(0, 2 * math.pi), torch.deg2rad(number(4, 48)), number(2.1, 3.6)
    away = torch.stack([azimuth.cos() * elevation.cos(), azimuth.sin() * elevation.cos(), elevation.sin()], 1)
    focus = torch.tensor(FOCUS)
    targets = focus + number(-0.18, 0.18, 3)
    return Cameras.looking_at(focus + radius[:, None] * away, targets, size, size, fov_degrees=40.0)


def _stages_of(scene: ToyScene, cameras: Cameras) -> Stages:
    """Positions, normals and coverage are rendered like colours, on the object's Gaussians."""
    gaussians, weights = scene.gaussians, scene.object_weights[:, None]
    features = [weights, weights * (gaussians.means - torch.tensor(FOCUS)), weights * _normals(gaussians.quats)]
    black = replace(
        gaussians,
        sh_dc=torch.where(weights > 0, -0.5 / SH_C0, gaussians.sh_dc),
        sh_rest=gaussians.sh_rest * (1 - weights[..., None]),
    )
    parts = [_rendered(gaussians, cameras, torch.cat(features, 1))]
    parts += [render(some, cameras)[0].movedim(-1, 1) for some in (black, gaussians)]
    coverage, positions, normals, surroundings, picture = torch.cat(parts, 1).split((1, 3, 3, 3, 3), 1)
    coverage = coverage.clamp(0, 1)
    divisor = coverage.clamp(min=1e-2)
    rotations = cameras.viewmats[:, :3, :3] * torch.tensor([1.0, -1.0, -1.0])[:, None]
    normals = functional.normalize(torch.einsum("nij,njhw->nihw", rotations, normals), dim=1)
    original = ((picture - surroundings) / divisor).clamp(0, 1)
    shade = (original.mean(1, keepdim=True) / GRANITE).clamp(0, 1.6)
    lots = (positions / divisor, normals, shade, coverage, surroundings.clamp(0, 1), original)
    return Stages(*(lot.half() for lot in lots))


def _rendered(gaussians: Gaussians, cameras: Cameras, features: Tensor) -> Tensor:
    """[views, channels, height, width] of features [gaussians, channels]."""
    images, _, _ = render_values(gaussians, cameras, features)
    return images.movedim(-1, 1)


def _normals(quats: Tensor) -> Tensor:
    """The toy scene's Gaussians are flat along their third axis, which points outwards."""
    w, x, y, z = functional.normalize(quats, dim=1).unbind(1)
    return torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], 1)


def shape_stages(count: int, size: int, generator: torch.Generator) -> Stages:
    """Animals, furniture, heaps and single solids, under any light, before noise, plain colours and soft blobs."""
    surfaces = random_surfaces(count, size, generator)
    normals, covered = surfaces.normals.float(), surfaces.covered.float()
    brush = Brush(generator, count, size)
    light = torch.randn(count, 3, 1, 1, generator=generator) + torch.tensor([0.0, 1.0, 1.2]).view(1, 3, 1, 1)
    diffuse = (normals * functional.normalize(light, dim=1)).sum(1, keepdim=True).clamp(min=0)
    ambient = brush.number(0.35, 0.7)
    shade = ambient + (1.25 - ambient) * diffuse
    # Half size, twice enlarged: outlines as soft as those of splats.
    soft = functional.interpolate(functional.avg_pool2d(covered, 2), scale_factor=2.0, mode="bilinear")
    coverage = torch.where(brush.number(0, 1) < 0.5, soft * covered, covered)
    surroundings = (1 - coverage) * _backgrounds(brush)
    grey = shade * brush.number(0.2, 0.8, 3).mean(1, keepdim=True)
    lots = (surfaces.positions.float(), normals, shade, coverage, surroundings, grey.expand(-1, 3, -1, -1).clamp(0, 1))
    return Stages(*(lot.half() for lot in lots))


def _backgrounds(brush: Brush) -> Tensor:
    """Black, white, plain, ground and sky, soft blobs, with or without grain."""
    kind = brush.number(0, 1)
    first, second = brush.number(0, 1, 3), brush.number(0, 1, 3)
    plain = torch.where(kind < 0.12, torch.zeros(1), torch.where(kind < 0.24, torch.ones(1), first))
    horizon = ((brush.v - brush.number(0.3, 0.7)) * 20).clamp(0, 1)
    ground = mix(second.sqrt(), first * 0.8, horizon) * (0.8 + 0.4 * brush.noise(6))
    blobs = mix(first, second, brush.noise(3, 3))
    picture = torch.where(kind < 0.4, plain, torch.where(kind < 0.7, ground, blobs))
    grain = torch.randn(brush.count, 1, brush.size, brush.size, generator=brush.generator)
    return (picture + brush.number(0, 0.05) * grain).clamp(0, 1)
