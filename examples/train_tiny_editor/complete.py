"""Is an object of a capture edited completely, from all sides?

    python examples/train_tiny_editor/complete.py --run RUN/config.yml --editor outputs/tiny_editor/pipeline

Takes views from all around out of a reconstruction (a run of fasttext2style-scene), whole ones and others so near that
the frame cuts the object; finds the object, edits it in every view as a round of editing does, and counts the object's
pixels within the range of colours that the sentence asks for. It ends with exit code 1 where `LEAST_MEAN` or
`LEAST_WORST` is not reached (README.md has the packaged editor's numbers).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch
import tyro
from PIL import Image
from torch import Tensor
from torch.nn import functional

sys.path.append(str(Path(__file__).resolve().parents[1]))
from subjects import Subject

import fasttext2style as ft
from fasttext2style.editors.editor import EditRequest
from fasttext2style.editors.load import load_editor
from fasttext2style.scene.rasterize import render, render_values
from fasttext2style.selection.colors import to_lab

LEAST_MEAN = 0.90
"""Of the object's pixels, the mean over views, for every sentence, object and guidance."""
LEAST_WORST = 0.75
"""In the worst view."""
GUIDANCES = (3.0, 7.5)
NEAR = 2.5
"""Focal length of the near views, as a multiple."""


@dataclass(frozen=True)
class Range:
    """Colours in CIELAB: hue in degrees, chroma and lightness in [0, 100] and more."""

    hue: tuple[float, float]
    least_chroma: float
    lightness: tuple[float, float] = (0.0, 100.0)
    or_grey: float = 0.0
    """So little chroma will do, too, at any hue."""

    def holds(self, rgb: Tensor) -> Tensor:
        """Of sRGB colours [colors, 3]: which are in it."""
        lightness, a, b = (100 * to_lab(rgb)).unbind(1)
        chroma, hue = torch.hypot(a, b), torch.rad2deg(torch.atan2(b, a)) % 360
        colored = (hue >= self.hue[0]) & (hue <= self.hue[1]) & (chroma >= self.least_chroma)
        lit = (lightness >= self.lightness[0]) & (lightness <= self.lightness[1])
        return (colored | (chroma <= self.or_grey)) & lit


ASKED = {
    "make it blue": Range((245.0, 320.0), 15.0),
    "turn it into gold": Range((60.0, 105.0), 20.0),
    "turn it into ice": Range((190.0, 290.0), 3.0, (45.0, 100.0), or_grey=8.0),
    "a bear made of wood": Range((40.0, 90.0), 12.0, (5.0, 75.0)),
}


@dataclass
class Settings:
    run: Path
    editor: str = "tiny"
    """As for `load_editor`."""
    native_size: int | None = None
    """Side in pixels at which the object is edited; None: the editor's own."""
    out: Path = Path("complete.png")
    views: int = 12
    size: int = 256
    steps: int = 20
    seed: int = 0


@torch.no_grad()
def main(settings: Settings) -> None:
    subject, step = Subject.of(settings.run), 360 / settings.views
    around = subject.around(tuple(step * number for number in range(settings.views)), settings.size)
    editor, missed, pictures = load_editor(settings.editor, native_size=settings.native_size), [], []
    columns = ("sentence", "views", "guidance", "mean", "worst", "untouched", "outside")
    print("{:20} {:>6} {:>8} {:>6} {:>6} {:>10} {:>10}".format(*columns))
    for distance in ("whole", "near"):
        images, masks = _seen(subject, around if distance == "whole" else _nearer(around))
        rows = [images]
        for (sentence, asked), guidance in product(ASKED.items(), GUIDANCES):
            request = EditRequest(
                images, sentence, mask=masks, strength=(0.98, 0.98), steps=settings.steps, guidance=guidance,
                seed=settings.seed,
            )  # fmt: skip
            edited = editor.edit(request).images
            shares, before = _shares(edited, masks, asked), _shares(images, masks, asked).mean()
            outside = int(((edited != images).any(-1) & (masks[..., 0] == 0)).sum())
            print(
                f"{sentence:20} {distance:>6} {guidance:8.1f} {shares.mean():6.3f} {shares.min():6.3f} {before:10.3f} "
                f"{outside:10d}"
            )
            rows.append(edited)
            if shares.mean() < LEAST_MEAN or shares.min() < LEAST_WORST or outside:
                missed.append(f"{sentence}, {distance}, guidance {guidance}")
        pictures.append(_sheet(torch.stack(rows)[:, :: max(1, settings.views // 4)]))
    Image.fromarray((torch.cat(pictures, 1) * 255).byte().numpy()).save(settings.out)
    print(f"{settings.out}: rows are the object, then each sentence with guidance {GUIDANCES}; near views at the right")
    raise SystemExit(f"Missed: {missed}" if missed else 0)


def _seen(subject: Subject, cameras: ft.Cameras) -> tuple[Tensor, Tensor]:
    """Pictures and the object's masks in them; of masks and scene alike, those in which there is much of it."""
    images = render(subject.scene, cameras)[0].clamp(0, 1)
    masks = (render_values(subject.scene, cameras, subject.weights[:, None].float())[0] > 0.5).float()
    much = masks.mean((1, 2, 3)) > 0.02
    return images[much], masks[much]


def _nearer(cameras: ft.Cameras) -> ft.Cameras:
    focal = torch.tensor([NEAR, NEAR, 1.0])
    return replace(cameras, Ks=cameras.Ks * torch.where(torch.eye(3) > 0, focal[:, None], 1.0))


def _sheet(rows: Tensor) -> Tensor:
    """One picture of [rows, views, height, width, 3], at half the size."""
    small = functional.avg_pool2d(rows.flatten(0, 1).movedim(-1, 1), 2).movedim(1, -1)
    _, views, height, width, _ = rows.shape
    grid = small.reshape(-1, views, height // 2, width // 2, 3)
    return grid.permute(0, 2, 1, 3, 4).reshape(-1, views * width // 2, 3)


def _shares(images: Tensor, masks: Tensor, asked: Range) -> Tensor:
    """[views]: of the object's pixels, how many are in the range."""
    return torch.stack([asked.holds(image[mask[..., 0] > 0]).float().mean() for image, mask in zip(images, masks)])


if __name__ == "__main__":
    main(tyro.cli(Settings))
