"""Styles the toy bear by the 24 sentences that encoder "offline" is judged by, and puts them on one sheet.

    python examples/train_offline_encoder/sheet.py --out outputs/sentences
    python examples/train_offline_encoder/sheet.py --out outputs/sentences --shuffle 7     # for eyes that do not know
    python examples/train_offline_encoder/sheet.py --out outputs/bear --run RUN --front 270   # what a capture shows

The list is that of docs/offline_encoder.md. Each sentence is styled for itself from the object as it is; one that the
encoder refuses leaves it so. What is done is kept in --out, so that an interrupted run goes on. Writes sheet.png (two
sides of each) and sheet.json: seconds, and how fine the patterns are for three cameras 15 degrees apart, and whether
the second and third see the same as the first at the same places (see evaluation/pattern_frequency.py).
"""

from __future__ import annotations

import json
import math
import random
import re
import sys
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
from fasttext2style.guidance.prompts import check_prompt
from fasttext2style.scene.rasterize import render_values

sys.path.append(str(Path(__file__).resolve().parents[1]))
from subjects import Subject

LIST = Path(__file__).resolve().parents[2] / "docs" / "offline_encoder.md"
TURNS = (45.0, 60.0, 75.0)
"""Degrees around the object of the cameras that measure patterns."""
SIDE, COLUMNS = 160, 4


@dataclass
class Settings:
    """What to show."""

    out: Path = Path("outputs/sentences")
    run: Path | None = None
    """Folder of a run of fasttext2style-scene, whose object takes the place of the toy bear."""
    front: float = 0.0
    """Degrees around the run's object at which its face is."""
    sides: tuple[float, float] = (35.0, 215.0)
    """Those that are shown, in degrees from the face."""
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
    subject, encoder, rows = None, None, []
    for number, sentence in enumerate(wanted, 1):
        if settings.only and number not in settings.only:
            continue
        kept = settings.out / f"{number:02d}.pt"
        if not kept.exists():
            subject = subject or Subject.of(settings.run, settings.front)
            encoder = encoder or ft.load_encoder(settings.encoder)
            torch.save(styled(subject, encoder, sentence, settings), kept)
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
    titles = [f"{row['number']}  {row['sentence']}" + " (refused)" * bool(row["refused"]) for row in rows]
    sheet = laid_out([row["sides"] for row in rows], titles)
    # A palette by coverage: one of medians leaves none for ice. Dithered: without it plain blue has seams.
    palette = sheet.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
    sheet.quantize(palette=palette).save(settings.out / "sheet.png", optimize=True)
    if settings.shuffle:
        shuffled(rows, settings)


def sentences() -> list[str]:
    """The list of the docs, column by column."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", LIST.read_text(encoding="utf-8"), re.MULTILINE)
    start = next(number for number, row in enumerate(rows) if row[0] == "colours and materials")
    table = [row for row in rows[start + 1 :] if not set(row[0]) <= set("-: ")][:8]
    return [row[column] for column in range(3) for row in table]


def styled(subject: Subject, encoder: ft.TextImageEncoder, sentence: str, settings: Settings) -> dict:
    """Front and back in the scene, four sides alone, and numbers."""
    started, busy = time.perf_counter(), time.process_time()
    edit, refused = subject.edit(), refusal(encoder, sentence)
    if not refused:
        styler = ft.ObjectStyler(edit, subject.cameras, encoder, sentence, ft.StylerConfig(), settings.seed)
        rates = {"features_dc": settings.rate, "features_rest": settings.rate / 20}
        training = ft.ObjectSteps(
            edit, {name: torch.optim.Adam([edit.parameters[name]], lr=rate) for name, rate in rates.items()}
        )
        for step in range(settings.steps):
            training.take(*styler.losses(), step)
        training.close()
    seconds = {"wall": round(time.perf_counter() - started, 1), "cpu": round(time.process_time() - busy, 1)}
    return {"refused": refused, "seconds": seconds} | seen(subject, edit.merged(), settings.sides)


def refusal(encoder: ft.TextImageEncoder, sentence: str) -> str:
    """Why the encoder does not take a sentence; empty if it does."""
    try:
        check_prompt(encoder, sentence)
    except ValueError as error:
        return str(error)
    return ""


@torch.no_grad()
def seen(subject: Subject, after: ft.Gaussians, sides: tuple[float, float]) -> dict:
    """Of the styled scene: two sides, the object alone from four, how fine its pattern is, and whether it stays."""
    alone, turns = after.subset(subject.weights > 0), subject.around(TURNS, 128)
    images, alphas, _ = ft.render(alone, subject.around((0.0, 90.0, 180.0, 270.0), 128))
    turned, opacities, _ = ft.render(alone, turns)
    turned = turned.clamp(0, 1)
    depths = render_values(alone, turns, torch.ones(len(alone), 1), render_mode="RGB+ED")[0][..., 1]
    agree = [patterns_agree(turned[it], opacities[it], depths[it], turns[it]) for it in ([0, 1], [0, 2])]
    patterns = [pattern_of(*view) for view in zip(turned, opacities)]
    return {
        "sides": ft.render(after, subject.around(sides, SIDE))[0].clamp(0, 1).half(),
        "alone": (images.clamp(0, 1) + 0.5 * (1 - alphas)).half(),
        "agreement": [round(value, 3) for value in agree],
        "patterns": [[round(value, 3) for value in pattern] for pattern in patterns],
    }


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
