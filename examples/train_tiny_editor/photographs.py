"""Photographs that training is mixed with: what objects are made of before an edit, and places behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import pil_to_tensor

from fasttext2style.envmaps.files import read_panorama
from fasttext2style.envmaps.sphere import crops
from fasttext2style.envmaps.tones import middle_exposure, to_display
from fasttext2style.scene.cameras import Cameras

MATERIAL_SIZE = 96
ROWS = 256
"""Of panoramas."""
LOOKS_AROUND = 6
"""Places in each panorama."""


@dataclass(frozen=True)
class Photographs:
    materials: Tensor
    """[count, 3, MATERIAL_SIZE, MATERIAL_SIZE], sRGB in [0, 1]."""
    places: Tensor
    """[count, 3, size, size], sRGB in [0, 1]."""

    @staticmethod
    def none(size: int) -> Photographs:
        return Photographs(torch.empty(0, 3, MATERIAL_SIZE, MATERIAL_SIZE), torch.empty(0, 3, size, size))

    @staticmethod
    def read(folder: Path, size: int, generator: torch.Generator) -> Photographs:
        """The .jpg of `materials`, and what cameras see of the .hdr of `hdri`."""
        materials = [_material(path) for path in sorted((folder / "materials").glob("*.jpg"))]
        panoramas = sorted((folder / "hdri").glob("*.hdr"))
        if not materials or not panoramas:
            raise SystemExit(f"{folder} has no materials/*.jpg or no hdri/*.hdr")
        return Photographs(torch.stack(materials), torch.cat([_places(path, size, generator) for path in panoramas]))


def _material(path: Path) -> Tensor:
    pixels = pil_to_tensor(Image.open(path).convert("RGB"))[None] / 255
    return functional.interpolate(pixels, (MATERIAL_SIZE, MATERIAL_SIZE), mode="bilinear", antialias=True)[0]


def _places(path: Path, size: int, generator: torch.Generator) -> Tensor:
    """[LOOKS_AROUND, 3, size, size]: to all sides, a little up or down, near and far."""
    panorama = read_panorama(path, at_most=ROWS)
    shown = to_display(panorama, middle_exposure(panorama))
    views = []
    for look in range(LOOKS_AROUND):
        azimuth, up, wide = torch.rand(3, generator=generator)
        towards = torch.tensor(2 * torch.pi / LOOKS_AROUND) * (look + azimuth)
        target = torch.stack([towards.cos(), towards.sin(), 0.7 * up - 0.5])[None]
        camera = Cameras.looking_at(torch.zeros(1, 3), target, size, size, fov_degrees=float(35 + 50 * wide))
        views.append(crops(shown, camera))
    return torch.cat(views).movedim(-1, 1).clamp(0, 1)
