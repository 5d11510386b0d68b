"""Small scenes for the rasterizer's tests, as plain tensors with the names of `rasterize`'s arguments."""

import math

import torch
from torch import Tensor

GEOMETRY = ("means", "quats", "scales", "opacities", "colors")


def ball(
    count: int = 300, views: int = 2, width: int = 75, height: int = 53, bases: int = 16, seed: int = 0
) -> dict[str, Tensor | int]:
    """Gaussians on a thick shell, seen from a ring of cameras; sizes are no multiples of a tile."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    colors = torch.randn(count, bases, 3, generator=generator) * 0.3 if bases else torch.rand(count, 3)
    return {
        "means": directions * (0.7 + 0.3 * torch.rand(count, 1, generator=generator)),
        "quats": torch.randn(count, 4, generator=generator),
        "scales": 0.01 + 0.1 * torch.rand(count, 3, generator=generator),
        "opacities": 0.1 + 0.85 * torch.rand(count, generator=generator),
        "colors": colors,
        **ring(views, width, height),
    }


def ring(views: int, width: int, height: int, distance: float = 3.0) -> dict[str, Tensor | int]:
    viewmats = torch.eye(4).repeat(views, 1, 1)
    for view in range(views):
        angle = 2 * math.pi * view / views + 0.3
        cosine, sine = math.cos(angle), math.sin(angle)
        viewmats[view, :3, :3] = torch.tensor([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
        viewmats[view, 2, 3] = distance
    focal = 1.2 * width
    K = torch.tensor([[focal, 0, 0.5 * width + 1.3], [0, 1.1 * focal, 0.5 * height - 0.7], [0, 0, 1]])
    return {"viewmats": viewmats, "Ks": K.repeat(views, 1, 1), "width": width, "height": height}


def wild(seed: int, count: int = 60) -> dict[str, Tensor | int]:
    """Needles, giants and specks, some of them around the camera; an odd image size."""
    generator = torch.Generator().manual_seed(seed)
    width, height = (int(torch.randint(17, 70, (), generator=generator)) for _ in range(2))
    exponents = -3 + 2.7 * torch.rand(count, 3, generator=generator)
    return {
        "means": 1.5 * torch.randn(count, 3, generator=generator),
        "quats": torch.randn(count, 4, generator=generator),
        "scales": 10**exponents,
        "opacities": torch.rand(count, generator=generator) ** 0.3,
        "colors": torch.rand(count, 3, generator=generator),
        **ring(1, width, height, distance=2.0),
    }


def dots(
    xs: list[float],
    ys: list[float],
    depths: list[float],
    opacities: list[float],
    deviation: float = 3.0,
    width: int = 64,
    height: int = 48,
) -> dict[str, Tensor | int]:
    """Round splats at given pixel coordinates, with a standard deviation in pixels; Gaussian k has colour e_k."""
    focal = 1e4  # so long that perspective does not stretch what is off the axis
    z = torch.tensor(depths)
    count = len(xs)
    means = torch.stack([(torch.tensor(xs) - width / 2) * z / focal, (torch.tensor(ys) - height / 2) * z / focal, z], 1)
    return {
        "means": means,
        "quats": torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        # eps2d = 0.3 adds to the variance in pixels.
        "scales": (z * math.sqrt(deviation**2 - 0.3) / focal)[:, None].repeat(1, 3),
        "opacities": torch.tensor(opacities),
        "colors": torch.eye(max(count, 3))[:count],
        "viewmats": torch.eye(4)[None],
        "Ks": torch.tensor([[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]]),
        "width": width,
        "height": height,
    }


def to_float64(scene: dict) -> dict:
    return {key: value.double() if isinstance(value, Tensor) else value for key, value in scene.items()}


def require_grad(scene: dict) -> dict:
    """The same scene with fresh leaves."""
    leaves = {key: scene[key].detach().clone().requires_grad_() for key in GEOMETRY}
    return {**scene, **leaves}


def relative_error(ours: Tensor, reference: Tensor) -> float:
    """Largest deviation, in units of the reference's largest value."""
    return ((ours.double() - reference.double()).abs().max() / reference.abs().max().clamp_min(1e-12)).item()
