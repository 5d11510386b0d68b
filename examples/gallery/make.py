"""Makes the pictures of this folder: the embedded scene's bear under ten sentences, each from four sides.

    python examples/gallery/make.py [--steps 200] [--out examples/gallery]

The sentences were chosen before the first picture was made, and all are shown, those that fail too. Needs no network
and no GPU; about five minutes on two cores. Writes gallery.png, and gallery.json with versions: similarity by the
embedded encoder, which was optimised, and by encoder "offline", which was not, where its extra is installed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

import fasttext2style as ft
from fasttext2style.evaluation.graders import second_judge
from fasttext2style.evaluation.report import labelled_rows, versions

SENTENCES = (
    "a bear made of gold",
    "a bear made of ice",
    "a red bear",
    "a blue bear",
    "a green bear",
    "a bear made of wood",
    "a bear made of lava",
    "a bear made of grass",
    "a bear made of brick",
    "a bear with zebra stripes",
)
RATES = {"sh_dc": 0.02, "sh_rest": 0.001, "features_dc": 0.02, "features_rest": 0.001}
"""Learning rates of the colours, those of the method `fasttext2style`."""


def styled(
    scene: ft.Gaussians, cameras: ft.Cameras, bear: ft.Selection, encoder: ft.TextImageEncoder, prompt: str, steps: int
) -> tuple[ft.Gaussians, dict[str, Any]]:
    """The scene with its bear under a sentence; similarity before and after, and seconds."""
    started = time.perf_counter()
    edit = ft.EditableObject(scene, bear)
    styler = ft.ObjectStyler(edit, cameras, encoder, prompt, ft.StylerConfig())
    groups = styler.config.train
    training = ft.ObjectSteps(edit, {g: torch.optim.Adam([edit.parameters[g]], lr=RATES[g]) for g in groups})
    for step in range(steps):
        training.take(*styler.losses(), step)
    training.close()
    seconds, now = round(time.perf_counter() - started, 1), edit.gaussians(()).detach()
    similarity: dict[str, Any] = {
        "before": float(styler.similarity(edit.original).mean()),
        "after": float(styler.similarity(now).mean()),
    }
    if (judge := second_judge(encoder, prompt, "cpu")) is not None:
        before, after = (styler.judged(gaussians, judge, prompt) for gaussians in (edit.original, now))
        similarity["second_judge"] = {"encoder": judge.name, "before": before, "after": after}
    return edit.merged(), similarity | {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    toy = ft.toy_scene()
    scene, encoder = toy.gaussians, ft.load_encoder("tiny")
    bear = ft.select_automatic(scene, toy.train_cameras)
    sides = ft.Cameras.orbit((0.05, 0.0, 0.62), radius=2.6, views=4, width=192, height=192, elevation_degrees=18)
    looked_at = torch.no_grad()(lambda gaussians: ft.render(gaussians, sides)[0].clamp(0, 1))
    rows, facts = {"as captured": looked_at(scene)}, {}
    for prompt in SENTENCES:
        after, facts[prompt] = styled(scene, toy.train_cameras, bear, encoder, prompt, options.steps)
        rows[prompt] = looked_at(after)
        print(f"{prompt}: {facts[prompt]}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    ft.write_png(options.out / "gallery.png", labelled_rows(rows))
    report = {"steps": options.steps, "sentences": facts, "versions": versions()}
    (options.out / "gallery.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
