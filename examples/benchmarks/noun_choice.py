"""Does a sentence's noun choose the right thing among several, and leave the likeliest where it should?

    python examples/benchmarks/noun_choice.py                                       # things of the toy scene
    python examples/benchmarks/noun_choice.py --runs bear=RUN dinosaur=RUN          # and objects of captures

The objects of runs of fasttext2style-scene and the toy scene's bear, ball and crate stand in a ring, all of one size.
They are the candidates, each in turn as the likeliest. What a sentence means was written down before the first run,
also for those that mean none of them (the likeliest stays), as was the expectation: where the likeliest is meant, or
none is, at most one choice in twenty is spoilt; of the others encoder "offline" mends half or more, the embedded one
those by colour alone.

Each capture is also asked by itself, "a NAME made of gold" and "a statue made of gold", among the candidates that it
offers; its object, the first, should stay. Prints a table, writes JSON and a picture.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from PIL import Image

import fasttext2style as ft
from fasttext2style.evaluation.report import to_uint8, versions
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.selection.automatic import candidates
from fasttext2style.selection.noun import named_among

MEANT = {
    "a bear made of gold": ("bear", "toy bear"),
    "turn the bear into a panda": ("bear", "toy bear"),
    "a dinosaur made of gold": ("dinosaur",),
    "paint the dinosaur blue": ("dinosaur",),
    "a lizard with zebra stripes": ("dinosaur",),
    "a ball made of wood": ("ball",),
    "a soccer ball made of ice": ("ball",),
    "a crate made of gold": ("crate",),
    "a blue box covered in moss": ("crate",),
    "a red ball made of gold": ("ball",),
    "a car made of gold": (),
    "a blue statue": (),
    "make it red": (),
}
"""Names of the things that a sentence means; none: the likeliest stays."""
TOY = {"toy bear": (0, 17_000), "ball": (17_000, 19_200), "crate": (19_200, 20_900)}
"""Rows of the toy scene."""
APART, SIZE = 1.4, 224


@dataclass
class Settings:
    """What to ask."""

    runs: tuple[str, ...] = ()
    """NAME=FOLDER of runs of fasttext2style-scene."""
    encoders: tuple[str, ...] = ("offline", "tiny")
    out: Path = Path("outputs/noun_choice")


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    settings.out.mkdir(parents=True, exist_ok=True)
    things, offered = {}, {}
    encoders = {name: ft.load_encoder(name) for name in settings.encoders}
    for given in settings.runs:
        name, _, folder = given.partition("=")
        run = open_run(Path(folder))
        scene, cameras = run.gaussians(), run.cameras("train")
        found = candidates(scene, cameras)
        things[name] = scene.subset(found[0].mask)
        offered[name] = {
            f"{encoder_name}: {noun}": 1 + named_among(encoder, f"a {noun} made of gold", scene, cameras, found).number
            for encoder_name, encoder in encoders.items()
            for noun in (name, "statue")
        } | {"candidates": len(found)}
    toy = ft.toy_scene().gaussians
    things |= {name: toy.subset(torch.arange(len(toy))[slice(*rows)]) for name, rows in TOY.items()}
    print("taken in the captures themselves:", offered, flush=True)
    scene, cameras, chosen = together(things)
    views = cameras.evenly(6)
    picture = torch.cat(list(ft.render(scene, views)[0].clamp(0, 1)), dim=1)
    Image.fromarray(to_uint8(picture[None])[0]).save(settings.out / "things.png")
    rows, names = [], list(things)
    for encoder_name, encoder in encoders.items():
        for sentence, meant in MEANT.items():
            if meant and not set(meant) & set(names):
                continue
            for turn in range(len(names)):
                order = names[turn:] + names[:turn]
                answer = named_among(encoder, sentence, scene, cameras, [chosen[name] for name in order])
                row = {"encoder": encoder_name, "sentence": sentence, "first": order[0], "took": order[answer.number]}
                rows.append(row | {"verdict": verdict(meant, order[0], order[answer.number]), "said": answer.said})
            of_it = [row for row in rows if (row["encoder"], row["sentence"]) == (encoder_name, sentence)]
            took = Counter(row["took"] for row in of_it if row["took"] != row["first"])
            print(f"| {encoder_name} | {sentence} | {dict(Counter(row['verdict'] for row in of_it))} | {dict(took)} |")
        mine = Counter(row["verdict"] for row in rows if row["encoder"] == encoder_name)
        print(f"{encoder_name}: {dict(mine)}", flush=True)
    about = {"offered": offered, "rows": rows, "versions": versions()}
    (settings.out / "noun_choice.json").write_text(json.dumps(about, indent=1))


def verdict(meant: tuple[str, ...], first: str, took: str) -> str:
    if first in meant or not meant:
        return "kept" if took == first else "kept alike" if took in meant else "spoilt"
    if took in meant:
        return "mended"
    return "not mended" if took == first else "mended wrongly"


def together(things: dict[str, ft.Gaussians]) -> tuple[ft.Gaussians, ft.Cameras, dict[str, ft.Selection]]:
    """All things, each as high as 1, in a ring; cameras around it; and each as a selection."""
    parts, starts = [], [0]
    for place, thing in enumerate(things.values()):
        low, high = torch.quantile(thing.means, 0.01, dim=0), torch.quantile(thing.means, 0.99, dim=0)
        scale = 1 / float((high - low).max())
        angle = torch.tensor(2 * torch.pi * place / len(things))
        radius = APART * len(things) / (2 * torch.pi)
        middle = torch.stack([radius * angle.cos(), radius * angle.sin(), torch.tensor(0.5)])
        moved = (thing.means - (low + high) / 2) * scale + middle
        scales = thing.log_scales + torch.tensor(scale).log()
        parts.append(replace(thing, means=moved, log_scales=scales))
        starts.append(starts[-1] + len(thing))
    degree = min(part.sh_degree for part in parts)
    scene = ft.Gaussians.concatenated([part.with_sh_degree(degree) for part in parts])
    rows = torch.arange(len(scene))
    chosen = {
        name: ft.Selection(((rows >= start) & (rows < end)).float(), name)
        for name, start, end in zip(things, starts, starts[1:])
    }
    cameras = ft.Cameras.orbit((0.0, 0.0, 0.5), 4.5, 24, SIZE, SIZE, 50.0, elevation_degrees=20.0)
    return scene, cameras, chosen


if __name__ == "__main__":
    main(tyro.cli(Settings))
