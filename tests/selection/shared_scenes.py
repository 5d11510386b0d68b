"""Scenes for the tests of selecting, and how well a selection shows the object."""

import functools

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render_values
from fasttext2style.selection.picking import pick
from fasttext2style.toy.scene import ToyScene, toy_scene

# Clicks as a person would place them: view and pixel, first on the object, then beside it.
TOY_CLICKS = {
    "from the side": ([(4, 128, 100), (4, 120, 172)], [(4, 25, 245)]),
    "from the front": ([(0, 120, 90), (0, 110, 215)], [(0, 60, 200)]),
    "from the tail": ([(6, 150, 100), (6, 60, 190)], [(6, 20, 235)]),
    "on it alone": ([(2, 110, 110), (4, 120, 172), (7, 150, 140)], []),
}
"""Training views at 256 x 256 pixels."""
BEAR_CLICKS = {
    "3 on it": ([(0, 140, 110), (0, 100, 182), (8, 75, 178)], [(0, 60, 230), (54, 60, 230)]),
    "2 on it": ([(0, 140, 110), (8, 75, 178)], [(0, 60, 230), (16, 210, 220), (36, 60, 220)]),
    "from both sides": ([(0, 140, 110), (54, 100, 182)], [(0, 60, 230), (36, 20, 200), (54, 180, 170)]),
    "slab from its front": ([(0, 140, 110), (0, 80, 180), (16, 90, 200)], [(0, 60, 230), (16, 210, 220)]),
    "3 on it, near": ([(8, 110, 120), (8, 70, 175), (45, 100, 130)], [(8, 20, 200), (45, 30, 200)]),
}
"""Training views of the bear capture at 255 x 255 pixels: on the statue and its slab, beside on the rock."""


@functools.cache
def toy(clutter: int = 1) -> ToyScene:
    return toy_scene(clutter=clutter, width=128, height=128)


def blobs(means: Tensor, size: float | Tensor | None = None, opacity: float = 0.9) -> Gaussians:
    """Round grey Gaussians, as large as their distance to the next ones if no size is given."""
    count = len(means)
    if size is None:
        size = torch.from_numpy(KDTree(means.numpy()).query(means.numpy(), k=4)[0][:, 1:].mean(axis=1)).float()[:, None]
    return Gaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.as_tensor(size).expand(count, 3).log(),
        torch.full((count,), opacity).logit(),
        torch.zeros(count, 3),
        torch.zeros(count, 0, 3),
    )


def disc(radius: float, height: float, count: int) -> Tensor:
    """Points on a level disc around the z axis."""
    angle, distance = torch.arange(count) * 2.399963, radius * ((torch.arange(count) + 0.5) / count).sqrt()
    return torch.stack([distance * angle.cos(), distance * angle.sin(), torch.full((count,), height)], dim=1)


def ball(radius: float, height: float, count: int) -> Tensor:
    """Points on a sphere around the z axis."""
    directions = torch.nn.functional.normalize(torch.randn(count, 3), dim=1)
    return radius * directions + torch.tensor([0.0, 0.0, height])


def orbit(height: float, elevation: float = 30.0, radius: float = 2.0) -> Cameras:
    return Cameras.orbit((0, 0, height), radius, 12, 96, 96, elevation_degrees=elevation)


def coverage(gaussians: Gaussians, weights: Tensor, cameras: Cameras) -> Tensor:
    """[views, height, width]: visible share of the selected Gaussians."""
    return render_values(gaussians, cameras, weights[:, None].float())[0][..., 0]


def random_points(
    gaussians: Gaussians, cameras: Cameras, masks: Tensor, inside: bool, count: int, generator: torch.Generator
) -> Tensor:
    """[count, 3]: what is seen at pixels drawn from inside masks [views, height, width], or outside; never the sky."""
    pixels, points = (masks == inside).nonzero(), []
    while len(points) < count:
        view, y, x = pixels[int(torch.randint(len(pixels), (), generator=generator))].tolist()
        try:
            points.append(pick(gaussians, cameras[view], x + 0.5, y + 0.5).position)
        except ValueError:  # nothing solid there
            continue
    return torch.stack(points) if points else torch.zeros(0, 3)


def held_out_iou(scene: ToyScene, weights: Tensor) -> float:
    """Intersection over union of the rendered selection and the exact mask, mean over the test views."""
    found = coverage(scene.gaussians, weights, scene.test_cameras) > 0.5
    exact = scene.masks(scene.test_cameras) > 0.5
    return ((found & exact).sum(dim=(1, 2)) / (found | exact).sum(dim=(1, 2))).mean().item()


def moved(gaussians: Gaussians, cameras: Cameras, turn: np.ndarray, scale: float, shift: Tensor):
    """The same scene and views in other world coordinates: x becomes scale * turn x + shift."""
    from scipy.spatial.transform import Rotation

    rotation = torch.from_numpy(turn).float()
    old = Rotation.from_quat(gaussians.quats[:, [1, 2, 3, 0]].numpy())
    quats = torch.from_numpy((Rotation.from_matrix(turn) * old).as_quat()[:, [3, 0, 1, 2]]).float()
    there = Gaussians(
        scale * gaussians.means @ rotation.T + shift,
        quats,
        gaussians.log_scales + np.log(scale),
        gaussians.logit_opacities,
        gaussians.sh_dc,
        gaussians.sh_rest,
    )
    viewmats = cameras.viewmats.clone()
    viewmats[:, :3, :3] = cameras.viewmats[:, :3, :3] @ rotation.T
    centers = scale * cameras.centers @ rotation.T + shift
    viewmats[:, :3, 3] = -(viewmats[:, :3, :3] @ centers[:, :, None])[:, :, 0]
    return there, Cameras(viewmats, cameras.Ks, cameras.width, cameras.height)
