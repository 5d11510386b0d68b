"""Views of a scene that came without photographs: where up is, what to look at, and from where.

None of it is in the file. Up is across the level surface that carries most; the middle is where Gaussians are densest,
for that is where photographs were; and the distance is the farthest from which the middle is seen well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions

FOV_DEGREES, ROOM_FOV_DEGREES = 50.0, 75.0
ELEVATIONS = (12.0, 35.0)
"""Every other view stands higher."""
ROOM_SHARE = 0.2
"""Of these elevations, for views from inside."""
DISTANCES = (3.0, 2.2, 1.7)
"""In units of the middle's radius: the first leaves some room around it, the others see past what stands before it."""
SEES_AS_WELL = 0.7
"""The first distance is taken that shows so much of what the best one shows."""
UPS = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (0.0, 1.0, 0.0))
"""Of nerfstudio and most tools; of COLMAP and what trains in its coordinates; of some others."""
TILT_DEGREES = 35.0
LEAST_LEVEL = 0.1
"""Of what is near must lie in one plane for it to say where up is."""
SMALLEST = 0.015
"""Radius of what is looked at: of anything smaller the nearest views would see nothing, for what is nearer to a camera
than a hundredth of a unit is not drawn."""
PLANE_TOLERANCE = 0.03
"""In units of the middle's radius."""
SAMPLES = 20_000


@dataclass(frozen=True)
class Around:
    """How a scene is looked at."""

    up: Float[Tensor, "3"]
    middle: Float[Tensor, "3"]
    radius: float
    """Of what is looked at."""
    inside: bool
    """From the middle outwards, rather than around it."""

    def views(self, count: int, size: int) -> Cameras:
        """So many square views, once around, every other one higher."""
        middle, up = self.middle.tolist(), self.up.tolist()
        levels = torch.tensor(ELEVATIONS).repeat(math.ceil(count / 2))[:count]
        if not self.inside:
            return Cameras.orbit(middle, self.radius, count, size, size, FOV_DEGREES, levels, up)
        # Standing in the middle, looking at where a ring would stand.
        ring = Cameras.orbit(middle, self.radius, count, size, size, ROOM_FOV_DEGREES, ROOM_SHARE * levels, up).centers
        here = self.middle[None]
        return Cameras.concatenated([Cameras.looking_at(here, at, size, size, ROOM_FOV_DEGREES, up) for at in ring])


def look_around(gaussians: Gaussians, up: Float[Tensor, "3"] | None = None, inside: bool = False) -> Around:
    """How to look at a scene; `up` is guessed where it is not given.

    Whether a scene is a room cannot be told from its Gaussians: they have no back, so from outside a room is a box.

    Args:
        inside: from the middle outwards.

    Raises:
        ValueError: nothing solid is in it, or all of it is too small.
    """
    gaussians = gaussians.detach()
    solid = gaussians.logit_opacities.sigmoid() > 0.2
    if int(solid.sum()) < 10:
        raise ValueError(f"Only {int(solid.sum())} of {len(gaussians):,} Gaussians are solid: there is nothing to see.")
    means = gaussians.means[solid]
    means = means[:: 1 + len(means) // SAMPLES]
    middle, radius = _densest(means)
    if radius < SMALLEST:
        raise ValueError(
            f"Most of the scene lies within {radius:.2g} units, and what is nearer to a camera than 0.01 is not drawn: "
            "scale it up by 100 or more (SuperSplat does it), and export it again."
        )
    up = torch.nn.functional.normalize(up, dim=0) if up is not None else _up_of(means, middle, radius)
    if inside:
        return Around(up, middle, radius, True)
    rings = [Around(up, middle, radius * distance, False) for distance in DISTANCES]
    core = (gaussians.means - middle).norm(dim=1) < radius
    seen = [_share_seen(gaussians, core, ring) for ring in rings]
    return next(ring for ring, share in zip(rings, seen) if share >= SEES_AS_WELL * max(seen))


def _densest(means: Float[Tensor, "points 3"]) -> tuple[Float[Tensor, "3"], float]:
    """Middle and radius of the densest part: the median of what is near the median, again and again."""
    kept = means
    for _ in range(12):
        middle = kept.median(dim=0).values
        distances = (kept - middle).norm(dim=1)
        near = kept[distances <= 1.6 * distances.median()]
        if len(near) < max(10, len(means) // 8):
            break
        kept = near
    middle = kept.median(dim=0).values
    return middle, max(1e-6, float(torch.quantile((kept - middle).norm(dim=1), 0.9)))


def _up_of(means: Float[Tensor, "points 3"], middle: Float[Tensor, "3"], radius: float) -> Float[Tensor, "3"]:
    """Across the plane that carries most of what is near, of those that face about one of `UPS`; z if none does."""
    near = means[(means - middle).norm(dim=1) < 4 * radius]
    corners = near[torch.randint(len(near), (3000, 3), generator=torch.Generator().manual_seed(0))]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=1)
    # A corner may be drawn twice.
    spans = normals.norm(dim=1) > 1e-6 * radius**2
    corners, normals = corners[spans], torch.nn.functional.normalize(normals[spans], dim=1)
    ups = torch.tensor(UPS).to(means)
    best, most = ups[0], LEAST_LEVEL
    for up in ups:
        facing = normals * torch.sign(normals @ up)[:, None]
        level = facing @ up > math.cos(math.radians(TILT_DEGREES))
        if not bool(level.any()):
            continue
        heights = near[::5] @ facing[level].T - (facing * corners[:, 0]).sum(dim=1)[level]
        support = (heights.abs() < PLANE_TOLERANCE * radius).float().mean(dim=0)
        found = int(support.argmax())
        # Up and down look alike but for what stands there.
        stands = float((heights[:, found] > PLANE_TOLERANCE * radius).float().mean())
        sinks = float((heights[:, found] < -PLANE_TOLERANCE * radius).float().mean())
        if float(support[found]) > most and stands >= sinks:
            best, most = facing[level][found], float(support[found])
    return best


def _share_seen(gaussians: Gaussians, core: Bool[Tensor, " gaussians"], around: Around) -> float:
    """Of the middle, how much shows through what stands before it, beside what shows of it alone."""
    views = around.views(8, 64)
    everywhere = torch.ones(len(views), 64, 64, 1)
    among_all = contributions(gaussians, views, everywhere)[core].sum()
    alone = contributions(gaussians.subset(core), views, everywhere).sum()
    return float(among_all / alone.clamp_min(1e-6))
