"""A small capture to try things on, made from nothing: a granite bear on its slab, on a wooden deck among hills.

The same seed gives the same scene. World units are about half metres, z is up, the deck is z = 0, the bear looks to +x.
The statue (bear and slab) is the object; its Gaussians and its masks are known exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.captures.write import write_capture, write_picture
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render_values
from fasttext2style.toy.geometry import (
    Distance,
    blend,
    ellipsoid,
    flat_gaussians,
    lit,
    noise,
    normals_of,
    rounded_box,
    sample_surface,
)
from fasttext2style.toy.surroundings import deck, meadow, props, sky, trees

FOCUS = (0.05, 0.0, 0.62)
"""The middle of the statue, where all cameras look."""
WORLD_OPTIONS = ("--orientation-method", "none", "--center-method", "none", "--auto-scale-poses", "False")
"""Options of the `nerfstudio-data` dataparser under which training happens in the dataset's own coordinates.

By default it turns the cameras upright, moves their mean to the origin and scales them into [-1, 1] (all written to the
run's dataparser_transforms.json), so a .ply in world coordinates would lie elsewhere than the run's Gaussians.
"""


@dataclass(frozen=True)
class ToyScene:
    """A scene of which everything is known."""

    gaussians: Gaussians
    object_weights: Float[Tensor, " gaussians"]
    """1 for Gaussians of the statue, 0 for all others."""
    train_cameras: Cameras
    test_cameras: Cameras
    """Views between the training views, for measuring."""
    path_cameras: Cameras
    """Once around, for films."""

    def masks(self, cameras: Cameras) -> Float[Tensor, "views height width"]:
        """How much of each pixel's colour comes from the statue: its visible coverage, in [0, 1]."""
        coverage, _, _ = render_values(self.gaussians, cameras, self.object_weights[:, None])
        return coverage[..., 0].clamp(0, 1)


def toy_scene(
    seed: int = 0,
    clutter: Literal[0, 1, 2] = 1,
    width: int = 256,
    height: int = 256,
    train_views: int = 24,
    test_views: int = 6,
    path_views: int = 60,
) -> ToyScene:
    """The scene with cameras around it, about 35,000 Gaussians, in about a second.

    `clutter` says what else stands on the deck: 0 nothing, 1 a ball and a crate, 2 also balls, a pot and posts that
    come near the statue and hide parts of it from some views.
    """
    generator = torch.Generator().manual_seed(seed)
    statue, things = _statue(), props(clutter)
    occluders = blend([statue, *(thing.distance for thing in things), lambda points: points[:, 2]])
    parts = [_granite(statue, occluders, generator, seed)]
    for thing in things:
        points = sample_surface(thing.distance, thing.lower, thing.upper, thing.count, generator)
        normals, _ = normals_of(thing.distance, points)
        colors = lit(thing.paint(points), points, normals, occluders)
        parts.append(flat_gaussians(points, normals, colors, 0.62, gloss=0.06))
    parts += [deck(occluders, generator, seed), meadow(seed), trees(generator), sky(seed)]
    gaussians = Gaussians.concatenated(parts)
    object_weights = torch.zeros(len(gaussians))
    object_weights[: len(parts[0])] = 1.0
    size = {"width": width, "height": height, "fov_degrees": 45.0}
    low_and_high = torch.tensor([12.0, 34.0]).repeat(math.ceil(train_views / 2))[:train_views]
    middle = torch.tensor([22.0, 14.0, 30.0]).repeat(math.ceil(test_views / 3))[:test_views]
    offset = 0.37 * 360 / max(1, train_views)
    return ToyScene(
        gaussians,
        object_weights,
        Cameras.orbit(FOCUS, 2.9, train_views, elevation_degrees=low_and_high, **size),
        Cameras.orbit(FOCUS, 2.8, test_views, elevation_degrees=middle, start_degrees=offset, **size),
        Cameras.orbit(FOCUS, 2.8, path_views, elevation_degrees=18.0, start_degrees=-70.0, **size),
    )


def write_dataset(scene: ToyScene, folder: Path | str, masks: bool = False) -> None:
    """Photographs of the scene as a nerfstudio dataset: images, transforms.json and a coloured point cloud.

    Training and test views are the scene's own (the file says which is which, no split option is needed). With `masks`
    the statue's masks lie in masks/ under the names of the images; transforms.json does not mention them, for
    nerfstudio would take them as the part of the image to learn. To train in world coordinates pass `WORLD_OPTIONS`::

        ns-train splatfacto --data toy nerfstudio-data --orientation-method none --center-method none \
            --auto-scale-poses False
    """
    splits = {"train": scene.train_cameras, "test": scene.test_cameras}
    names = write_capture(folder, scene.gaussians, splits)
    cameras = Cameras.concatenated(list(splits.values()))
    if masks:
        for view, name in enumerate(names):
            write_picture(Path(folder) / name.replace("images/", "masks/"), scene.masks(cameras[view])[0])


def _statue() -> Distance:
    limbs = [
        ellipsoid((-0.06, 0.0, 0.70), (0.50, 0.27, 0.28)),
        ellipsoid((-0.38, 0.0, 0.70), (0.27, 0.28, 0.29)),
        ellipsoid((0.24, 0.0, 0.79), (0.27, 0.25, 0.28)),
        ellipsoid((0.48, 0.03, 0.86), (0.24, 0.18, 0.20)),
        ellipsoid((0.66, 0.05, 0.95), (0.205, 0.20, 0.195)),
        ellipsoid((0.825, 0.07, 0.885), (0.14, 0.105, 0.092)),
        *(ellipsoid((0.34, side * 0.165, 0.42), (0.115, 0.10, 0.34)) for side in (-1, 1)),
        *(ellipsoid((-0.42, side * 0.175, 0.42), (0.14, 0.11, 0.34)) for side in (-1, 1)),
        *(ellipsoid((0.40, side * 0.165, 0.20), (0.16, 0.105, 0.075)) for side in (-1, 1)),
        *(ellipsoid((-0.37, side * 0.175, 0.20), (0.17, 0.11, 0.075)) for side in (-1, 1)),
        ellipsoid((-0.66, 0.0, 0.76), (0.07, 0.06, 0.07)),
    ]
    head = [
        *(ellipsoid((0.60, 0.045 + side * 0.15, 1.115), (0.042, 0.068, 0.070)) for side in (-1, 1)),
        ellipsoid((0.955, 0.084, 0.925), (0.036, 0.052, 0.036)),
    ]
    slab = rounded_box((0.05, 0.0, 0.075), (0.80, 0.42, 0.075), 0.03)
    return blend([blend([blend(limbs, 0.028), *head], 0.008), slab], 0.006)


def _granite(statue: Distance, occluders: Distance, generator: torch.Generator, seed: int) -> Gaussians:
    """Grey stone with dark and light grains, eyes and nose a little darker, the slab a little warmer."""
    points = sample_surface(statue, (-0.95, -0.55, 0.004), (1.15, 0.55, 1.3), 17_000, generator)
    normals, _ = normals_of(statue, points)
    # A calm face: dark grains there would pass for eyes.
    face = torch.sigmoid((points[:, :1] - 0.62) / 0.03) * (points[:, 2:] > 0.75)
    grains = torch.randn(len(points), 1, generator=generator) * (1 - 0.45 * face)
    tone = 0.31 + 0.025 * noise(points, 4.0, seed)[:, None] + 0.025 * noise(points, 28.0, seed + 1)[:, None]
    tone = tone + 0.04 * grains - 0.09 * (grains < -1.4) + 0.13 * (grains > 1.6)
    on_slab = torch.sigmoid((0.155 - points[:, 2:]) / 0.006)
    albedo = tone * torch.lerp(torch.tensor([[0.97, 1.0, 1.04]]), torch.tensor([[1.06, 0.98, 0.88]]) * 0.86, on_slab)
    dark = [((0.805, 0.06 + side * 0.105, 1.01), 0.036) for side in (-1, 1)] + [((0.972, 0.084, 0.93), 0.052)]
    for center, radius in dark:
        albedo = (
            albedo
            * (0.12 + 0.88 * torch.sigmoid(((points - torch.tensor(center)).norm(dim=1) - radius) / 0.005))[:, None]
        )
    return flat_gaussians(points, normals, lit(albedo, points, normals, occluders), 0.62, gloss=0.03)
