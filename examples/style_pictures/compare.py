"""Losses and networks that a style picture may be compared by, side by side: the sheet of docs/style_pictures.md.

    python examples/style_pictures/compare.py PHOTOGRAPH ... --paintings --run RUN --front 270 --features FILE

Each picture on the toy bear (and on the object of a run of fasttext2style-scene) by `matching`, `gram` and both with
the network of --features (SqueezeNet or VGG16), and by both with the features of encoder "offline". Expected, stated
before the first run: both together are nearest to the picture by a network that nobody optimised for (encoder
"offline" judges the first three; of the fourth it would judge itself); matching alone leaves rare parts of the picture
out, gram alone runs together. What is done is kept in --out. Writes compared.png, shuffled.png with key.json (four
results of each picture in an order that only the key knows), and compared.json.
"""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import tyro
from make import PAINTINGS, SIDE, Row, Settings, Subject, laid_out, name_of, painted, styled, thumbnail
from PIL import Image

import fasttext2style as ft
from fasttext2style.captures.style_pictures import StylePicture, read_style_picture
from fasttext2style.evaluation.report import to_uint8, versions

OFFLINE = "both, offline"
WAYS = {"matching": "matching", "gram": "gram", "both": "matching+gram", OFFLINE: "matching+gram"}


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    pictures = [read_style_picture(path) for path in settings.pictures]
    if settings.paintings or not pictures:
        pictures += [painted(name) for name in PAINTINGS]
    subjects = {"toy": Subject.of(None)}
    if settings.run is not None:
        subjects["run"] = Subject.of(settings.run, settings.front)
    encoder = ft.load_encoder("offline")
    rows: list[dict] = []
    results: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for picture in pictures:
        for subject_name, subject in subjects.items():
            of_it = results[picture.name, subject_name] = {}
            for way, loss in WAYS.items():
                kept = settings.out / f"{Path(picture.name).stem}-{subject_name}-{way.replace(', ', '_')}.pt"
                if not kept.exists():
                    how = replace(settings, picture=replace(settings.picture, loss=loss))
                    if way == OFFLINE:
                        how = replace(how, features="encoder")
                    torch.save(styled(subject, encoder, picture, how), kept)
                of_it[way] = torch.load(kept, weights_only=True).float()
                likeness = judged(encoder, subject, of_it[way], picture)
                rows.append({"picture": picture.name, "object": subject_name, "way": way, "likeness": likeness})
        tell(rows, settings)
    sides = [
        [
            named(picture) if settings.names_only else thumbnail(picture),
            *(tile(results[picture.name, name][way]) for name in subjects for way in WAYS),
        ]
        for picture in pictures
    ]
    titles = ["", *(f"{way} ({name})" for name in subjects for way in WAYS)]
    page = laid_out([one for line in sides for one in line], titles * len(sides), len(titles))
    page.quantize(256).save(settings.out / "compared.png", optimize=True)
    if settings.shuffle:
        shuffled(pictures, results, settings)


def named(picture: StylePicture) -> Image.Image:
    """The name of a photograph, which may be somebody's; a painting of paintings.py as it is."""
    return thumbnail(picture) if picture.name in PAINTINGS else name_of(Row(picture, False, []))


def tile(sides: torch.Tensor) -> Image.Image:
    return Image.fromarray(to_uint8(sides)[0])


@torch.no_grad()
def judged(encoder: ft.TextImageEncoder, subject: Subject, sides: torch.Tensor, picture: StylePicture) -> float:
    """Mean cosine between the picture and what is seen of the object, by the encoder, over the sides."""
    cameras = subject.around((60.0, 240.0), SIDE, distance=2.5)
    masks = ft.render(subject.scene.subset(subject.weights > 0.5), cameras)[1]
    alone = sides * masks + 0.5 * (1 - masks)
    shown = picture.tensor[..., :3][None]
    return float((encoder.embed_images(alone) @ encoder.embed_images(shown)[0]).mean())


def tell(rows: list[dict], settings: Settings) -> None:
    means = {way: statistics.mean(row["likeness"] for row in rows if row["way"] == way) for way in WAYS}
    print({way: round(mean, 3) for way, mean in means.items()}, flush=True)
    about = {"means": means, "rows": rows, "steps": settings.steps, "versions": versions()}
    (settings.out / "compared.json").write_text(json.dumps(about, indent=1))


def shuffled(
    pictures: list[StylePicture], results: dict[tuple[str, str], dict[str, torch.Tensor]], settings: Settings
) -> None:
    """Each picture on each object, its ways by letters in an order of their own."""
    draw, key, tiles, titles = random.Random(settings.shuffle), {}, [], []
    by_name = {picture.name: picture for picture in pictures}
    for number, ((name, _), of_it) in enumerate(results.items(), 1):
        order = draw.sample(list(of_it), len(of_it))
        key[number] = order
        tiles += [thumbnail(by_name[name]), *(both_sides(of_it[way]) for way in order)]
        titles += [f"row {number}", *"ABCD"]
    tiles = [one if one.width > SIDE else padded(one) for one in tiles]
    laid_out(tiles, titles, 1 + len(WAYS)).save(settings.out / "shuffled.png", optimize=True)
    (settings.out / "key.json").write_text(json.dumps(key, indent=1))


def both_sides(sides: torch.Tensor) -> Image.Image:
    return Image.fromarray(np.concatenate(list(to_uint8(sides)), axis=1))


def padded(image: Image.Image) -> Image.Image:
    page = Image.new("RGB", (2 * SIDE, SIDE), "white")
    page.paste(image, (0, 0))
    return page


if __name__ == "__main__":
    main(tyro.cli(Settings))
