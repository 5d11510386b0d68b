"""Gaussians tinted by the light of what is around them: a tint, not relighting.

Their colours are multiplied by the ratio of the irradiance that a new panorama gives to that of the old one, along each
Gaussian's shortest axis, turned towards the cameras. Irradiance by nine coefficients: Ramamoorthi and Hanrahan, An
Efficient Representation for Irradiance Environment Maps (2001). Shadows, highlights and light from one part of a scene
to another stay what they were.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.sphere import directions, solid_angles
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import SH_C0, Gaussians

MOST_STOPS = 1.5
"""By which a colour becomes brighter or darker at most."""
_ROWS = 64
_GAMMA = 2.2
"""Between light and the colours of Gaussians, which are a screen's."""


def irradiance(
    panorama: Float[Tensor, "height width 3"], normals: Float[Tensor, "normals 3"]
) -> Float[Tensor, "normals 3"]:
    """Light that falls on surfaces of these unit normals, where 1 comes from everywhere: pi; at least 0."""
    small = resized(panorama.cpu(), min(_ROWS, len(panorama))).double()
    rays, angles = directions(*small.shape[:2]), solid_angles(*small.shape[:2])
    light = torch.einsum("hwk,hwc,h->kc", _basis(rays), small, angles)
    spread = torch.tensor([math.pi, *3 * [2 * math.pi / 3], *5 * [math.pi / 4]], dtype=torch.float64)
    return (_basis(normals.double().cpu()) @ (spread[:, None] * light)).clamp_min(0).to(normals)


def _basis(along: Float[Tensor, "*rays 3"]) -> Float[Tensor, "*rays 9"]:
    """Real spherical harmonics up to the second order."""
    x, y, z = along.unbind(-1)
    one, two, three, four = (math.sqrt(it / math.pi) for it in (1 / 4, 3 / 4, 15 / 4, 5 / 16))
    parts = [one * torch.ones_like(x), two * y, two * z, two * x, three * x * y, three * y * z]
    return torch.stack(
        [*parts, four * (3 * z**2 - 1), three * x * z, math.sqrt(15 / 16 / math.pi) * (x**2 - y**2)], dim=-1
    )


def normals_of(gaussians: Gaussians, cameras: Cameras) -> Float[Tensor, "gaussians 3"]:
    """Shortest axes, turned towards the middle of the cameras."""
    w, x, y, z = F.normalize(gaussians.quats, dim=1).unbind(1)
    columns = torch.stack(
        [
            torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], dim=1),
            torch.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], dim=1),
            torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], dim=1),
        ],
        dim=1,
    )
    shortest = gaussians.log_scales.argmin(dim=1)
    normals = columns[torch.arange(len(shortest), device=shortest.device), shortest]
    towards = cameras.centers.mean(dim=0).to(normals) - gaussians.means
    return torch.where((normals * towards).sum(dim=1, keepdim=True) < 0, -normals, normals)


@torch.no_grad()
def harmonised(
    gaussians: Gaussians,
    weights: Float[Tensor, " gaussians"],
    cameras: Cameras,
    new: Float[Tensor, "height width 3"],
    old: Float[Tensor, "old_height old_width 3"] | None = None,
) -> dict[str, Float[Tensor, "gaussians ..."]]:
    """The colour columns (splatfacto's names) in a new light, each Gaussian by its weight; rows of weight 0 keep every
    bit.

    Args:
        old: what was around them before. None: nobody knows what lit them; an even, colourless light is taken that is
            as bright as the new one, so that only its colour and where it comes from is seen.
    """
    normals = normals_of(gaussians, cameras)
    after = irradiance(new, normals)
    if old is None:
        mean = irradiance(new, F.normalize(directions(8, 16).reshape(-1, 3).float(), dim=1)).mean()
        before = mean.to(after).expand_as(after)
    else:
        before = irradiance(old, normals)
    least = 1e-3 * float(before.max().clamp_min(1e-12))
    stops = ((after + least) / (before + least)).log2().clamp(-MOST_STOPS, MOST_STOPS)
    gains = torch.exp2(weights[:, None] * stops / _GAMMA)
    shown = (gains != 1).any(dim=1)
    columns = {"features_dc": gaussians.sh_dc.clone(), "features_rest": gaussians.sh_rest.clone()}
    columns["features_dc"][shown] = ((gains * (0.5 + SH_C0 * gaussians.sh_dc) - 0.5) / SH_C0)[shown]
    columns["features_rest"][shown] = (gains[:, None] * gaussians.sh_rest)[shown]
    return columns
