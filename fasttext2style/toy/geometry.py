"""Surfaces made of distance functions, covered with flat Gaussians and lit once and for all.

A distance function takes points [points, 3] and gives about their distance to a surface, negative inside (after Inigo
Quilez, https://iquilezles.org/articles/distfunctions). Colours of this file are linear light; z is up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from fasttext2style.scene.gaussians import SH_C0, Gaussians

Points = Float[Tensor, "points 3"]
Distance = Callable[[Points], Float[Tensor, " points"]]

SH_C1 = 0.4886025119029199
"""The linear spherical harmonics."""
SUN = torch.nn.functional.normalize(torch.tensor([0.35, -0.55, 0.75]), dim=0)
"""Direction towards the sun."""


def ellipsoid(center: Sequence[float], radii: Sequence[float]) -> Distance:
    def distance(points: Points) -> Float[Tensor, " points"]:
        offset, size = points - points.new_tensor(center), points.new_tensor(radii)
        # Bounded below, for at the centre the quotient is 0 / 0.
        inner, outer = (offset / size).norm(dim=1), (offset / size**2).norm(dim=1).clamp_min(1e-6)
        return inner * (inner - 1) / outer

    return distance


def rounded_box(center: Sequence[float], half_sizes: Sequence[float], rounding: float, turn: float = 0.0) -> Distance:
    """Edges rounded with radius `rounding`, turned by `turn` radians about z."""

    def distance(points: Points) -> Float[Tensor, " points"]:
        angle = points.new_tensor(turn)
        cos, sin = angle.cos(), angle.sin()
        offset = points - points.new_tensor(center)
        local = torch.stack([cos * offset[:, 0] + sin * offset[:, 1], cos * offset[:, 1] - sin * offset[:, 0]], dim=1)
        beyond = torch.cat([local, offset[:, 2:]], dim=1).abs() - (points.new_tensor(half_sizes) - rounding)
        return beyond.clamp_min(0).norm(dim=1) + beyond.amax(dim=1).clamp_max(0) - rounding

    return distance


def cone(center: Sequence[float], lower_radius: float, upper_radius: float, height: float) -> Distance:
    """An upright cut cone that stands on `center`; good enough a distance near its surface."""

    def distance(points: Points) -> Float[Tensor, " points"]:
        offset = points - points.new_tensor(center)
        share = (offset[:, 2] / height).clamp(0, 1)
        side = (offset[:, :2].square().sum(dim=1) + 1e-9).sqrt() - (
            lower_radius + share * (upper_radius - lower_radius)
        )
        caps = (offset[:, 2] - height / 2).abs() - height / 2
        beyond = torch.stack([side, caps], dim=1)
        return beyond.clamp_min(0).norm(dim=1) + beyond.amax(dim=1).clamp_max(0) - 0.01

    return distance


def blend(parts: Sequence[Distance], softness: float = 1e-3) -> Distance:
    """Union whose seams are rounded over about `softness`."""

    def distance(points: Points) -> Float[Tensor, " points"]:
        return -softness * torch.logsumexp(-torch.stack([part(points) for part in parts]) / softness, dim=0)

    return distance


def normals_of(distance: Distance, points: Points) -> tuple[Points, Float[Tensor, " points"]]:
    """Unit gradients, and the distance made metric by the gradient's length."""
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        values = distance(points)
        (gradient,) = torch.autograd.grad(values.sum(), points)
    length = gradient.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return gradient / length, values.detach() / length[:, 0]


def sample_surface(
    distance: Distance, lower: Sequence[float], upper: Sequence[float], count: int, generator: torch.Generator
) -> Points:
    """About evenly spread points on the part of a surface that lies in a box."""
    lower_corner, extent = torch.tensor(lower), torch.tensor(upper) - torch.tensor(lower)
    shell, found = 0.03, []
    # Uniform in a thin shell is uniform on the surface; several rounds, for the area is not known before.
    while sum(map(len, found)) < count:
        candidates = lower_corner + extent * torch.rand(20 * count, 3, generator=generator)
        near = candidates[distance(candidates).abs() < 2 * shell]
        _, metric = normals_of(distance, near)
        found.append(near[metric.abs() < shell])
    points = _onto_surface(distance, torch.cat(found)[:count], steps=3)
    for _ in range(3):
        # Neighbours repel each other: random points leave holes and heaps, which show as stains.
        gaps, neighbours = KDTree(points.numpy()).query(points.numpy(), k=7)
        away = points[:, None] - points[torch.as_tensor(neighbours)[:, 1:]]
        gaps = torch.as_tensor(gaps)[:, 1:].float()
        push = (away * ((gaps.mean() * 1.4 - gaps).clamp_min(0) / gaps.clamp_min(1e-6))[..., None]).sum(dim=1)
        points = _onto_surface(distance, points + 0.25 * push, steps=1)
    return points


def _onto_surface(distance: Distance, points: Points, steps: int) -> Points:
    for _ in range(steps):
        normals, metric = normals_of(distance, points)
        points = points - metric[:, None] * normals
    return points


def lit(albedo: Points, points: Points, normals: Points, occluders: Distance, lift: float = 0.01) -> Points:
    """Linear colours under a sun with soft shadows, a blue sky and light from a warm floor, darker in corners."""
    start = points + lift * normals
    reach = torch.ones(len(points))
    for height, weight in ((0.04, 0.3), (0.1, 0.35), (0.2, 0.3), (0.4, 0.2)):
        reach -= weight * (1 - occluders(start + height * normals) / height).clamp_min(0)
    ambient_occlusion = reach.clamp(0.15, 1.0)
    shade, travelled = torch.ones(len(points)), torch.full((len(points),), 0.03)
    for _ in range(18):
        clearance = occluders(start + travelled[:, None] * SUN)
        shade = torch.minimum(shade, (9 * clearance / travelled).clamp(0, 1))
        travelled = travelled + clearance.clamp(0.03, 0.25)
    sun = (normals @ SUN).clamp_min(0) * shade * shade * (3 - 2 * shade)
    upward = 0.5 + 0.5 * normals[:, 2]
    sky = upward[:, None] * torch.tensor([0.42, 0.52, 0.68]) + (1 - upward[:, None]) * torch.tensor([0.26, 0.21, 0.16])
    return albedo * (sun[:, None] * torch.tensor([1.32, 1.2, 1.0]) + ambient_occlusion[:, None] * sky)


def to_srgb(linear: Points) -> Points:
    """IEC 61966-2-1."""
    linear = linear.clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)


def noise(points: Points, frequency: float, seed: int) -> Float[Tensor, " points"]:
    """Smooth noise of mean 0 and deviation about 1: a sum of waves of random direction and phase."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(3, 24, generator=generator) * frequency
    phases = torch.rand(24, generator=generator) * 2 * torch.pi
    return (points @ waves + phases).cos().mean(dim=1) * (2 * 24) ** 0.5


def quats_from_frames(frames: Float[Tensor, "points 3 3"]) -> Float[Tensor, "points 4"]:
    """w, x, y, z of rotation matrices."""
    return torch.from_numpy(Rotation.from_matrix(frames.numpy()).as_quat()[:, [3, 0, 1, 2]]).float()


def flat_gaussians(
    points: Points,
    normals: Points,
    linear_colors: Points,
    sizes: Float[Tensor, "points 2"] | float,
    along: Sequence[float] = (1.0, 0.0, 0.0),
    gloss: float = 0.0,
    opacity: float = 0.97,
) -> Gaussians:
    """Discs on a surface, of standard deviations `sizes` (along, across) and almost no thickness.

    `sizes` as a number is in units of the distance to the neighbours. `gloss` lets the colour rise towards the mirror
    direction of the sun, by the linear spherical harmonics.
    """
    if not isinstance(sizes, Tensor):
        gaps, _ = KDTree(points.numpy()).query(points.numpy(), k=5)
        sizes = torch.from_numpy(sizes * gaps[:, 1:].mean(axis=1)).float()[:, None].expand(-1, 2)
    across = torch.linalg.cross(normals, normals.new_tensor(along).expand_as(normals), dim=1)
    degenerate = across.norm(dim=1) < 1e-3
    across[degenerate] = torch.linalg.cross(normals[degenerate], normals.new_tensor([0.0, 1.0, 0.1])[None], dim=1)
    across = torch.nn.functional.normalize(across, dim=1)
    frames = torch.stack([torch.linalg.cross(across, normals, dim=1), across, normals], dim=2)
    scales = torch.cat([sizes, 0.12 * sizes.amin(dim=1, keepdim=True)], dim=1)
    mirror = 2 * (normals @ SUN)[:, None] * normals - SUN
    # Degree 1 is C1 (-y, z, -x) of the direction from camera to Gaussian, which is minus the one to the camera.
    linear_part = -gloss / SH_C1 * torch.stack([-mirror[:, 1], mirror[:, 2], -mirror[:, 0]], dim=1)
    facing = ((normals @ SUN) > 0)[:, None, None]
    return Gaussians(
        means=points,
        quats=quats_from_frames(frames),
        log_scales=scales.log(),
        logit_opacities=torch.full((len(points),), opacity).logit(),
        sh_dc=(to_srgb(linear_colors) - 0.5) / SH_C0,
        sh_rest=(linear_part[:, :, None] * facing).expand(-1, -1, 3).contiguous(),
    )
