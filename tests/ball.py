"""The scene of most tests: a coloured ball on a floor, seen by ten cameras. Knows no host."""

from __future__ import annotations

import torch

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians

CAPTURE_VIEWS = 10
BALL = 150


def ball_on_floor() -> Gaussians:
    """A grey ball (the first BALL Gaussians, radius 0.3 around the origin) on a green floor."""
    generator = torch.Generator().manual_seed(0)
    ball = torch.nn.functional.normalize(torch.randn(BALL, 3, generator=generator), dim=1) * 0.3
    floor = torch.rand(150, 3, generator=generator) * torch.tensor([2.0, 2.0, 0.0]) - torch.tensor([1.0, 1.0, 0.35])
    means = torch.cat([ball, floor])
    colors = torch.cat([torch.full((BALL, 3), 0.5), torch.tensor([[0.2, 0.5, 0.2]]).repeat(150, 1)])
    scales = torch.cat([torch.full((BALL, 3), 0.05), torch.full((150, 3), 0.09)])
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(len(means), 1),
        log_scales=scales.log(),
        logit_opacities=torch.full((len(means),), 3.0),
        sh_dc=(colors - 0.5) / 0.28209479177387814,
        sh_rest=torch.zeros(len(means), 15, 3),
    )


def capture_cameras(size: int = 48) -> Cameras:
    return Cameras.orbit((0.0, 0.0, 0.0), 1.4, CAPTURE_VIEWS, size, size, elevation_degrees=25.0)
