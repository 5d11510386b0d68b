"""Painting a stage: the same place in the same light, with another look."""

from __future__ import annotations

import torch
from encoder_parts import COLOURS, MATERIALS, Brush, mix, plain
from stages import Stages
from torch import Tensor
from torch.nn import functional

PAINTED = (
    "gold", "silver", "copper", "wood", "stone", "marble", "ice", "snow", "lava", "fire", "grass", "moss", "water",
    "sand", "chocolate", "rust",
)  # fmt: skip
"""The materials that the editor learns; finer patterns than these do not survive 64x64 pixels."""
LOOKS: tuple[str, ...] = (*COLOURS, *PAINTED)
TEXTURE_SIZE = 96
TEXTURE_SCALE = 0.5
"""Texture lengths per unit of the object's coordinates."""
SUN = torch.nn.functional.normalize(torch.tensor([0.3, 0.7, 0.65]), dim=0).view(1, 3, 1, 1)
"""Where highlights come from, in view space. Always the same, for what cannot be seen in the picture before the edit
the editor could only guess, and it would guess differently in each view. For that reason every look has one texture."""


class Paints:
    """The texture of every look, [looks, 3, size, size], and how light plays on it."""

    def __init__(self, seed: int) -> None:
        brush = Brush(torch.Generator().manual_seed(seed), 1, TEXTURE_SIZE)
        self.textures = torch.cat([_texture(look, brush) for look in LOOKS])
        kinds = [MATERIALS[look].light if look in MATERIALS else "matte" for look in LOOKS]
        self.kinds = {kind: torch.tensor([k == kind for k in kinds]) for kind in ("glossy", "glowing", "metal")}
        ramps = [MATERIALS[look].ramp if look in MATERIALS else () for look in LOOKS]
        self.ramps = torch.tensor([ramp or ((0.0, 0.0, 0.0),) * 5 for ramp in ramps])
        self.is_colour = torch.tensor([look in COLOURS for look in LOOKS])

    def paint(self, stages: Stages, looks: Tensor) -> Tensor:
        """Pictures of the stages, with objects of these looks [count], indices into `LOOKS`."""
        albedo = _projected(self.textures[looks], stages.positions)
        gloss = 0.6 * (stages.normals * _halfway()).sum(1, keepdim=True).clamp(min=0) ** 24
        # Colours are laid on thinly: grain and lines of what is below remain visible.
        grain = (stages.original.mean(1, keepdim=True) / stages.shade.clamp(min=0.1)).clamp(0.1, 1)
        level = (grain * stages.coverage).sum((2, 3), keepdim=True) / stages.coverage.sum((2, 3), keepdim=True).clamp(
            min=1
        )
        grain = torch.where(self._is(self.is_colour, looks), (grain / level).clamp(0.4, 1.5) ** 0.7, torch.ones(1))
        matte = albedo * stages.shade * grain
        painted = torch.where(self._is(self.kinds["glossy"], looks), mix(matte, torch.ones(1), gloss), matte)
        painted = torch.where(self._is(self.kinds["glowing"], looks), albedo * (0.75 + 0.25 * stages.shade), painted)
        metal = self._is(self.kinds["metal"], looks)
        painted = torch.where(metal, _mirrored(self.ramps[looks], albedo[:, :1], stages), painted)
        return stages.surroundings + stages.coverage * painted.clamp(0, 1)

    @staticmethod
    def _is(kind: Tensor, looks: Tensor) -> Tensor:
        return kind[looks].view(-1, 1, 1, 1)


def original(stages: Stages) -> Tensor:
    return stages.surroundings + stages.coverage * stages.original


def _texture(look: str, brush: Brush) -> Tensor:
    if look in COLOURS:
        return plain(brush, brush.colour(COLOURS[look], 0.02)).clamp(0, 1)
    material = MATERIALS[look]
    return material.paint(brush, brush.colour(material.base or (0.5, 0.5, 0.5), 0.02)).clamp(0, 1)


def _projected(texture: Tensor, positions: Tensor) -> Tensor:
    """Texture from the front, the side or above, whichever the surface faces."""
    slopes = torch.stack([positions.roll(-1, 3) - positions, positions.roll(-1, 2) - positions], -1).abs().sum(-1)
    # The axis along which the position changes least is the one that the surface faces.
    faces_x = slopes[:, 0] < torch.minimum(slopes[:, 1], slopes[:, 2])
    faces_y = ~faces_x & (slopes[:, 1] < slopes[:, 2])
    x, y, z = positions.unbind(1)
    uv = torch.stack([torch.where(faces_x, z, x), torch.where(faces_y, z, y)], -1) * TEXTURE_SCALE
    return functional.grid_sample(texture, 2 * uv.remainder(1) - 1, padding_mode="border", align_corners=False)


def _halfway() -> Tensor:
    return functional.normalize(SUN + torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1), dim=1)


def _mirrored(ramps: Tensor, polish: Tensor, stages: Stages) -> Tensor:
    """Metal: bright sky, dark ground and one lamp in the reflection, dimmed a little by the shade that was there."""
    normals = stages.normals
    mirror = 2 * normals[:, 2:] * normals - torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    lamp = (10 * ((mirror * SUN).sum(1, keepdim=True) - 1)).exp()
    seen = 0.3 + 0.2 * torch.tanh(3 * mirror[:, 1:2]) + 0.3 * (stages.shade - 0.6) + 0.5 * lamp + 0.3 * (polish - 0.5)
    position = seen.clamp(0, 1) * (ramps.shape[1] - 1)
    stops = (1 - (position - torch.arange(ramps.shape[1]).view(1, -1, 1, 1)).abs()).clamp(min=0)
    return torch.einsum("nshw,nsc->nchw", stops, ramps)
