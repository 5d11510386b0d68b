"""Styles the toy bear by the 24 sentences that encoder "offline" is judged by, and puts them on one sheet.

    python examples/train_offline_encoder/sheet.py --out outputs/sentences
    python examples/train_offline_encoder/sheet.py --out outputs/sentences --shuffle 7     # for eyes that do not know

The list is that of docs/offline_encoder.md. Each sentence is styled for itself from the bear as it is; what is done is
kept in --out, so that an interrupted run goes on. Writes sheet.png (two sides of each) and sheet.json: seconds, and how
fine the patterns are for three cameras 15 degrees apart, and whether the second and third see the same as the first at
the same places (see evaluation/pattern_frequency.py).
"""

from __future__ import annotations

import json
import math
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image, ImageDraw, ImageFont

import fasttext2style as ft
from fasttext2style.evaluation.pattern_frequency import pattern_of, patterns_agree
from fasttext2style.evaluation.report import to_uint8, versions
from fasttext2style.scene.rasterize import render_values

LIST = Path(__file__).parents[2] / "docs" / "offline_encoder.md"
FOCUS = (0.05, 0.0, 0.62)
TURNS = (45.0, 60.0, 75.0)
"""Degrees around the bear of the cameras that measure patterns."""
SIDE, COLUMNS = 160, 4


@dataclass
class Settings:
    """What to show."""

    out: Path = Path("outputs/sentences")
    encoder: str = "offline"
    steps: int = 40
    rate: float = 0.04
    """Learning rate of the colours: twice that of the method `fasttext2style`, for as many steps as half of 80."""
    seed: int = 0
    only: tuple[int, ...] = ()
    """Numbers of sentences, from 1; by default all."""
    shuffle: int = 0
    """Also write shuffled.png and shuffled.txt, without names and in an order of this seed, and key.txt."""
    threads: int = 1


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    wanted = sentences()
    scene = ft.toy_scene(width=192, height=192)
    encoder, rows = None, []
    for number, sentence in enumerate(wanted, 1):
        if settings.only and number not in settings.only:
            continue
        kept = settings.out / f"{number:02d}.pt"
        if not kept.exists():
            encoder = encoder or ft.load_encoder(settings.encoder)
            torch.save(styled(scene, encoder, sentence, settings), kept)
        rows.append({"number": number, "sentence": sentence} | torch.load(kept, weights_only=True))
        print(number, sentence, rows[-1]["seconds"], rows[-1]["patterns"], rows[-1].get("agreement"), flush=True)
    facts = [{name: value for name, value in row.items() if name not in ("sides", "alone")} for row in rows]
    about = {
        "encoder": settings.encoder,
        "steps": settings.steps,
        "rate": settings.rate,
        "seed": settings.seed,
        "versions": versions(),
    }
    (settings.out / "sheet.json").write_text(json.dumps(about | {"sentences": facts}, indent=1))
    titles = [f"{row['number']}  {row['sentence']}" for row in rows]
    sheet = laid_out([row["sides"] for row in rows], titles)
    # Dithered: without it plain blue has seams.
    sheet.quantize(palette=sheet.quantize(256)).save(settings.out / "sheet.png", optimize=True)
    if settings.shuffle:
        shuffled(rows, settings)


def sentences() -> list[str]:
    """The list of the docs, column by column."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", LIST.read_text(encoding="utf-8"), re.MULTILINE)
    start = next(number for number, row in enumerate(rows) if row[0] == "colours and materials")
    table = [row for row in rows[start + 1 :] if not set(row[0]) <= set("-: ")][:8]
    return [row[column] for column in range(3) for row in table]


def styled(scene: ft.ToyScene, encoder: ft.TextImageEncoder, sentence: str, settings: Settings) -> dict:
    """Front and back in the scene, four sides alone, and numbers."""
    started, busy = time.perf_counter(), time.process_time()
    edit = ft.EditableObject(scene.gaussians, ft.Selection(scene.object_weights, "the statue"))
    styler = ft.ObjectStyler(edit, scene.train_cameras, encoder, sentence, ft.StylerConfig(), settings.seed)
    rates = {"features_dc": settings.rate, "features_rest": settings.rate / 20}
    training = ft.ObjectSteps(
        edit, {name: torch.optim.Adam([edit.parameters[name]], lr=rate) for name, rate in rates.items()}
    )
    for step in range(settings.steps):
        training.take(*styler.losses(), step)
    training.close()
    seconds = {"wall": round(time.perf_counter() - started, 1), "cpu": round(time.process_time() - busy, 1)}
    after = edit.merged()
    bear = after.subset(scene.object_weights > 0)
    with torch.no_grad():
        sides = ft.render(after, around((35.0, 215.0), SIDE))[0].clamp(0, 1)
        images, alphas, _ = ft.render(bear, around((0.0, 90.0, 180.0, 270.0), 128))
        turned = ft.render(bear, around(TURNS, 128))
        depths = render_values(bear, around(TURNS, 128), torch.ones(len(bear), 1), render_mode="RGB+ED")[0][..., 1]
    pairs = [(0, 1), (0, 2)]
    agree = [
        patterns_agree(
            turned[0][list(pair)].clamp(0, 1), turned[1][list(pair)], depths[list(pair)], around(TURNS, 128)[list(pair)]
        )
        for pair in pairs
    ]
    patterns = [pattern_of(*view) for view in zip(turned[0].clamp(0, 1), turned[1])]
    return {
        "sides": sides.half(),
        "alone": (images.clamp(0, 1) + 0.5 * (1 - alphas)).half(),
        "seconds": seconds,
        "agreement": [round(value, 3) for value in agree],
        "patterns": [[round(value, 3) for value in pattern] for pattern in patterns],
    }


def around(degrees: tuple[float, ...], size: int) -> ft.Cameras:
    """Cameras that look at the statue from these directions; 0 is its face."""
    turns = [
        ft.Cameras.orbit(FOCUS, 2.1, 1, size, size, elevation_degrees=20.0, start_degrees=d, fov_degrees=45.0)
        for d in degrees
    ]
    return ft.Cameras.concatenated(turns)


def laid_out(pictures: list[torch.Tensor], titles: list[str]) -> Image.Image:
    """Front and back of each, with a title below."""
    line, gap = 18, 6
    across, down = 2 * SIDE + gap, SIDE + line + gap
    sheet = Image.new("RGB", (COLUMNS * across + gap, math.ceil(len(pictures) / COLUMNS) * down + gap), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for place, (sides, title) in enumerate(zip(pictures, titles)):
        left, top = gap + place % COLUMNS * across, gap + place // COLUMNS * down
        sheet.paste(Image.fromarray(np.concatenate(list(to_uint8(sides.float())), axis=1)), (left, top))
        draw.text((left, top + SIDE + 1), title, fill="black", font=font)
    return sheet


def shuffled(rows: list[dict], settings: Settings) -> None:
    """Pictures without names, the sentences in another order, and which is which."""
    draw = random.Random(settings.shuffle)
    pictures, texts = list(rows), list(rows)
    draw.shuffle(pictures)
    draw.shuffle(texts)
    letters = [chr(ord("A") + number) for number in range(len(rows))]
    laid_out([row["sides"] for row in pictures], [f"picture {n}" for n in range(1, len(rows) + 1)]).save(
        settings.out / "shuffled.png", optimize=True
    )
    listed = [f"{letter}  {row['sentence']}" for letter, row in zip(letters, texts)]
    (settings.out / "shuffled.txt").write_text("\n".join(listed) + "\n", encoding="utf-8")
    letter_of = {row["sentence"]: letter for letter, row in zip(letters, texts)}
    key = [f"picture {n}: {letter_of[row['sentence']]}  {row['sentence']}" for n, row in enumerate(pictures, 1)]
    (settings.out / "key.txt").write_text("\n".join(key) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Settings))
