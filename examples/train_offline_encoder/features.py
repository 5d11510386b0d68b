"""What the packaged networks make of photographs, painted pictures and names; computed once and kept in a file."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from fasttext2style.guidance.offline.image_tower import ImageTower
from fasttext2style.guidance.offline.palette import shares_of

sys.path.append(str(Path(__file__).resolve().parents[1] / "train_tiny_encoder"))
from captions import Look
from materials import MATERIALS as PAINTED
from pictures import Studio

SIZE = 112
TEXTURE = 96
JUNK, PLAIN = "junk", "plain"


class Photo(NamedTuple):
    """One photograph of a material."""

    pixels: Tensor
    """[3, height, width] in [0, 1]."""
    kind: str
    held_out: bool
    """Never trained on: every fifth asset of its class, in both collections."""


class Pooled(NamedTuple):
    """Features of pictures, with what they show."""

    pooled: Tensor
    statistics: Tensor
    shares: Tensor
    """Of colours."""
    kinds: list[str]
    """A class of photographs, a painted material, `JUNK` or `PLAIN`."""
    flat: Tensor
    """Whether a picture is a photograph as it is, and not on an object."""


def photographs(folder: Path) -> list[Photo]:
    """Both collections of `shared/data/materials`, in the order of their assets' names."""
    found: list[tuple[str, str, Tensor]] = []
    for item in json.loads((folder / "materials.json").read_text()):
        if item["cls"] != "Sand":  # no class of the other collection
            found.append((item["name"], item["cls"], _pixels(Image.open(folder / item["file"]))))
    sheets: dict[str, Image.Image] = {}
    for item in json.loads((folder / "ambientcg128" / "index.json").read_text())["items"]:
        if item["sheet"] not in sheets:
            sheets[item["sheet"]] = Image.open(folder / "ambientcg128" / item["sheet"])
        x, y, w, h = (item[side] for side in "xywh")
        found.append(
            (item["id"], item["cls"], _pixels(sheets[item["sheet"]].crop((x + 1, y + 1, x + w - 1, y + h - 1))))
        )
    held_out = set()
    for kind in sorted({kind for _, kind, _ in found}):
        held_out |= set(sorted({name for name, of, _ in found if of == kind})[4::5])
    return [Photo(pixels, kind, name in held_out) for name, kind, pixels in sorted(found, key=lambda one: one[:2])]


def crops(photo: Photo, count: int, draw: random.Random) -> Tensor:
    """[count, 3, SIZE, SIZE]: square parts of a photograph, some mirrored, over- or underexposed."""
    _, height, width = photo.pixels.shape
    parts = []
    for _ in range(count):
        side = round(min(height, width) * draw.uniform(0.6, 1.0))
        top, left = draw.randint(0, height - side), draw.randint(0, width - side)
        part = photo.pixels[None, :, top : top + side, left : left + side]
        part = functional.interpolate(part, (SIZE, SIZE), mode="bilinear", antialias=True)
        part = (part * draw.uniform(0.8, 1.2)).clamp(0, 1)
        parts.append(part.flip(-1) if draw.random() < 0.5 else part)
    return torch.cat(parts)


def centre(photo: Photo) -> Tensor:
    """[1, 3, SIZE, SIZE]: the largest square, for tests."""
    _, height, width = photo.pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    part = photo.pixels[None, :, top : top + side, left : left + side]
    return functional.interpolate(part, (SIZE, SIZE), mode="bilinear", antialias=True)


def features(tower: ImageTower, photos: list[Photo], seed: int, painted: int = 24) -> Pooled:
    """Of training photographs flat and on objects, of painted objects, plain ones and junk."""
    draw = random.Random(seed)
    batches: list[tuple[Tensor, list[str], bool]] = []
    for photo in photos:
        batches.append((crops(photo, 2, draw), [photo.kind] * 2, True))
    studio = Studio(seed, SIZE, surfaces=160)
    for kind in PAINTED:
        looks = [i for i, look in enumerate(studio.looks) if look.material == kind]
        for _ in range(painted // 12):
            batches.append((studio.whole(torch.tensor(draw.choices(looks, k=12))), [kind] * 12, False))
    plain = [i for i, look in enumerate(studio.looks) if look.material is None]
    for _ in range(20):
        batches.append((studio.whole(torch.tensor(draw.choices(plain, k=12))), [PLAIN] * 12, False))
        batches.append((studio.junk(20), [JUNK] * 20, False))
    batches += _wrapped(studio, photos, painted, draw)
    return _seen(tower, batches)


def held_out_features(tower: ImageTower, photos: list[Photo]) -> Pooled:
    """Of photographs that were never trained on, one picture each."""
    return _seen(tower, [(centre(photo), [photo.kind], True) for photo in photos if photo.held_out])


def _wrapped(
    studio: Studio, photos: list[Photo], count: int, draw: random.Random
) -> Iterator[tuple[Tensor, list[str], bool]]:
    """Photographs as the skin of objects, lit."""
    kinds = sorted({photo.kind for photo in photos})
    variants = studio.textures.shape[1]
    textures = []
    for kind in kinds:
        skins = torch.cat([crops(photo, 1, draw) for photo in photos if photo.kind == kind])
        chosen = torch.tensor(draw.choices(range(len(skins)), k=variants))
        textures.append(functional.interpolate(skins[chosen], (TEXTURE, TEXTURE), mode="bilinear", antialias=True))
    studio.textures, studio.looks = torch.stack(textures), [Look()] * len(kinds)
    studio.lights = torch.zeros(len(kinds), dtype=torch.long)
    for number, kind in enumerate(kinds):
        for _ in range(count // 12):
            yield studio.whole(torch.full((12,), number)), [kind] * 12, False


@torch.no_grad()
def _seen(tower: ImageTower, batches: list[tuple[Tensor, list[str], bool]]) -> Pooled:
    kinds = [kind for _, names, _ in batches for kind in names]
    flat = torch.tensor([is_flat for _, names, is_flat in batches for _ in names])
    parts = []
    for images in torch.cat([images for images, _, _ in batches]).split(32):
        seen = tower(images)
        parts.append((seen.pooled, seen.statistics, shares_of(images)))
    return Pooled(*(torch.cat(column) for column in zip(*parts)), kinds, flat)


def _pixels(image: Image.Image) -> Tensor:
    raw = torch.frombuffer(bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8)
    return raw.view(image.height, image.width, 3).permute(2, 0, 1).float() / 255
