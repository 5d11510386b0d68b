"""Styles the toy bear, and the object of a capture, by pictures: each picture, and beside it what came of it.

    python examples/style_pictures/make.py --out outputs/pictures
    python examples/style_pictures/make.py gold.jpg stone.jpg --paintings --run RUN --front 270 --out outputs/pictures

Without pictures it takes the three paintings of paintings.py, which are made from nothing. Needs no network and no GPU;
about a minute for each picture and object on one core. It fails if anything outside the object changed by one bit. What
is done is kept in --out, so that an interrupted run goes on; a change of other options than those of the sheet wants
another --out. Writes sheet.png; with --shuffle also shuffled.png and key.json, for eyes that do not know.
"""

from __future__ import annotations

import json
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from paintings import PAINTINGS
from PIL import Image, ImageDraw, ImageFont

import fasttext2style as ft
from fasttext2style.captures.style_pictures import StylePicture, read_style_picture
from fasttext2style.evaluation.report import to_uint8
from fasttext2style.guidance.feature_maps import load_feature_maps
from fasttext2style.guidance.picture_objective import PictureObjective, PictureStyleConfig

sys.path.append(str(Path(__file__).resolve().parents[1]))
from subjects import Subject

RATES = {"features_dc": 0.02, "features_rest": 0.001}
"""Learning rates of the colours, those of the method `fasttext2style`."""
SIDE, LINE, GAP = 160, 18, 6


@dataclass
class Settings:
    """What to show."""

    pictures: tyro.conf.Positional[tuple[Path, ...]] = ()
    paintings: bool = False
    """Also the three of paintings.py; without pictures they are taken anyway."""
    out: Path = Path("outputs/pictures")
    run: Path | None = None
    """Folder of a run of fasttext2style-scene, whose object is styled beside the toy bear."""
    front: float = 0.0
    """Degrees around the run's object at which its face is."""
    features: str = ""
    """File of vgg16 or squeezenet1_1 weights; see --feature-weights of the method."""
    encoder: str = "tiny"
    """Whose features are taken where there are no such weights."""
    steps: int = 90
    picture: PictureStyleConfig = field(default_factory=PictureStyleConfig)
    """How renders are compared with the picture."""
    sides: tuple[float, ...] = (60.0, 240.0)
    """Those that are shown, in degrees from the face."""
    names_only: bool = False
    """On sheet.png the names of files stand in place of their pictures, which may be somebody's."""
    shuffle: int = 0
    """Seed of the order of shuffled.png; 0 writes none."""
    threads: int = 1


@dataclass(frozen=True)
class Row:
    """A picture, and what became of each object."""

    picture: StylePicture
    painted: bool
    results: list[torch.Tensor]
    """Per object [sides, height, width, 3]."""


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    pictures = [(read_style_picture(path), False) for path in settings.pictures]
    if settings.paintings or not pictures:
        pictures += [(painted(name), True) for name in PAINTINGS]
    subjects = {"toy": Subject.of(None)}
    if settings.run is not None:
        subjects["run"] = Subject.of(settings.run, settings.front)
    encoder = ft.load_encoder(settings.encoder)
    rows = []
    for picture, is_painting in pictures:
        results = []
        for name, subject in subjects.items():
            kept = settings.out / f"{Path(picture.name).stem}-{name}.pt"
            if not kept.exists():
                torch.save(styled(subject, encoder, picture, settings), kept)
            results.append(torch.load(kept, weights_only=True))
        rows.append(Row(picture, is_painting, results))
    sheet(rows, settings.names_only).quantize(256).save(settings.out / "sheet.png", optimize=True)
    print(settings.out / "sheet.png")
    if settings.shuffle:
        shuffled(rows, settings)


def painted(name: str) -> StylePicture:
    """One of paintings.py."""
    pixels = np.full((256, 256, 4), 255, np.uint8)
    pixels[..., :3] = (PAINTINGS[name]() * 255).round().astype(np.uint8)
    return StylePicture(name, pixels)


def styled(subject: Subject, encoder: ft.TextImageEncoder, picture: StylePicture, settings: Settings) -> torch.Tensor:
    """Sides of the object in the style of a picture [sides, height, width, 3]."""
    started, edit = time.process_time(), subject.edit()
    features = load_feature_maps(encoder, settings.features)
    compared = PictureObjective(settings.picture, features, picture.tensor)
    styler = ft.ObjectStyler(edit, subject.cameras, encoder, "", ft.StylerConfig(), picture=compared)
    training = ft.ObjectSteps(edit, {name: torch.optim.Adam([edit.parameters[name]], lr=RATES[name]) for name in RATES})
    for step in range(settings.steps):
        training.take(*styler.losses(), step)
    training.close()
    after, outside = edit.merged(), subject.weights == 0
    for name, column in subject.scene.to_splatfacto().items():
        if not torch.equal(column[outside], after.to_splatfacto()[name][outside]):
            raise SystemExit(f"{name} changed outside the object")
    seconds = time.process_time() - started
    print(f"{picture.name}: {seconds:.0f} s of CPU time, {features.name}, {settings.picture.loss}", flush=True)
    with torch.no_grad():
        return ft.render(after, subject.around(settings.sides, SIDE, distance=2.5))[0].clamp(0, 1).half()


def sheet(rows: list[Row], names_only: bool) -> Image.Image:
    """A row for each picture: itself, and all objects."""
    lines = [
        [name_of(row) if names_only and not row.painted else thumbnail(row.picture)]
        + [Image.fromarray(side) for result in row.results for side in to_uint8(result.float())]
        for row in rows
    ]
    return laid_out([tile for line in lines for tile in line], [""] * len(lines) * len(lines[0]), len(lines[0]))


def thumbnail(picture: StylePicture) -> Image.Image:
    """Its upper left square."""
    image = Image.fromarray(picture.pixels[..., :3])
    return image.crop((0, 0, min(image.size), min(image.size))).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def name_of(row: Row) -> Image.Image:
    """A tile with the name of a picture's file."""
    tile = Image.new("RGB", (SIDE, SIDE), "white")
    text = Path(row.picture.name).stem.replace("_", "\n")
    ImageDraw.Draw(tile).text((8, SIDE // 2 - 20), text, fill="black", font=ImageFont.load_default(size=16))
    return tile


def laid_out(tiles: list[Image.Image], titles: list[str], columns: int) -> Image.Image:
    """Tiles of one size in rows, a title below each; without titles without gaps."""
    line, gap = (LINE, GAP) if any(titles) else (0, 0)
    width, height = tiles[0].width + gap, SIDE + line + gap
    page = Image.new("RGB", (columns * width - gap, -(-len(tiles) // columns) * height), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=14)
    for place, (tile, title) in enumerate(zip(tiles, titles)):
        left, top = place % columns * width, place // columns * height
        page.paste(tile, (left, top))
        draw.text((left, top + SIDE + 1), title, fill="black", font=font)
    return page


def shuffled(rows: list[Row], settings: Settings) -> None:
    """Pictures by letters, results by numbers, and which came of which."""
    draw = random.Random(settings.shuffle)
    lettered = draw.sample(rows, len(rows))
    results = [(row, result) for row in rows for result in row.results]
    draw.shuffle(results)
    letters = {row.picture.name: chr(ord("A") + place) for place, row in enumerate(lettered)}
    above = laid_out([thumbnail(row.picture) for row in lettered], list(letters.values()), len(rows))
    sides = [Image.fromarray(np.concatenate(list(to_uint8(result.float())), axis=1)) for _, result in results]
    below = laid_out(sides, [str(number) for number in range(1, len(sides) + 1)], 3)
    page = Image.new("RGB", (max(above.width, below.width), above.height + GAP + below.height), "white")
    page.paste(above, (0, 0))
    page.paste(below, (0, above.height + GAP))
    page.save(settings.out / "shuffled.png", optimize=True)
    key = {number: letters[row.picture.name] for number, (row, _) in enumerate(results, 1)}
    (settings.out / "key.json").write_text(json.dumps({"letters": letters, "results": key}, indent=1))


if __name__ == "__main__":
    main(tyro.cli(Settings))
