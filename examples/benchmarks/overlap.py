"""Rounds that overlap: what is gained where a worker edits while this process trains, and what late targets cost.

    OMP_NUM_THREADS=1 python examples/benchmarks/overlap.py

The bear of the embedded scene, 3 rounds of 12 views by the packaged editor on one worker of Ray, one thread each; the
same rounds with each overlap, side by side, by instructions and seeds. Prints seconds of a round after the first (which
has nothing to overlap with) and how the end differs from that without overlap; writes overlap.json.

Expected, before it was run: editing and training take about as long here, so that a round of full overlap takes .5 to
.75 of one without, and the mean colour of the object differs by less than .02.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from fasttext2style.editors.load import load_editor
from fasttext2style.evaluation.report import versions
from fasttext2style.plugin.methods import fasttext2style_ip2p
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import Capture
from fasttext2style.rounds.modes import Task
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.setup import new_rounds
from fasttext2style.rounds.tools import Tools
from fasttext2style.rounds.views import to_bytes
from fasttext2style.rounds.workers import Workers, hire_editors
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.styling.styler import StylerConfig
from fasttext2style.toy.scene import ToyScene, toy_scene
from fasttext2style.workers.choice import WorkersChoice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--overlaps", type=float, nargs="+", default=[0.0, 0.25, 0.5, 1.0])
    parser.add_argument("--prompts", nargs="+", default=["turn the bear into gold", "make the bear blue"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100, help="training steps of a round")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("outputs/overlap"))
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    scene = toy_scene(width=options.size, height=options.size, train_views=options.views)
    mask = scene.masks(scene.test_cameras) > 0.9
    load = partial(load_editor, "tiny", batch_size=-(-options.views // (2 * options.workers)))
    workers = hire_editors(WorkersChoice(options.workers), load, "cpu", "tiny")
    try:
        runs = [
            run(scene, mask, workers, prompt, seed, overlap, options.steps)
            for prompt in options.prompts
            for seed in options.seeds
            for overlap in options.overlaps
        ]
    finally:
        workers.close()
    rows = [row(overlap, runs) for overlap in options.overlaps]
    print("| overlap | seconds of a round | of that waiting for edits | of that without overlap | colour differs by |")
    print("|---|---|---|---|---|")
    for one in rows:
        print(
            f"| {one['overlap']} | {one['seconds']:.1f} | {one['waiting']:.1f} | {one['ratio']:.2f} "
            f"| {one['color_mean']:.3f}, at most {one['color_most']:.3f} |"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"cores": os.cpu_count(), "rows": rows, "runs": runs, "versions": versions()}
    (options.out / "overlap.json").write_text(json.dumps(report, indent=1) + "\n")


def run(
    scene: ToyScene, mask: Tensor, workers: Workers, prompt: str, seed: int, overlap: float, steps: int
) -> dict[str, object]:
    """Three rounds; what the second and third took, by their books, and the colour of the object's pixels."""
    edit = EditableObject(scene.gaussians, Selection(scene.object_weights, "exact"))
    photographs = to_bytes(render(scene.gaussians, scene.train_cameras)[0])
    capture = Capture(scene.train_cameras, photographs, torch.zeros(3))
    config = RoundsConfig(Schedule(rounds=3, steps=steps, overlap=overlap))
    with tempfile.TemporaryDirectory() as folder:
        books = RoundsFolder(Path(folder))
        rounds = new_rounds(edit, capture, Tools(workers), Task(prompt, seed=seed), config, StylerConfig(), books)
        rounds.start()
        rates = fasttext2style_ip2p.config.optimizers
        optimizers = {name: rates[name]["optimizer"].setup(params=[value]) for name, value in edit.parameters.items()}
        rounds.attach(optimizers)
        training = ObjectSteps(edit, optimizers)
        while not rounds.done:
            rounds.begin_step()
            losses, info = rounds.losses()
            training.take(losses, info, rounds.step)
            rounds.end_step()
        training.close()
        seconds = [entry.manifest["seconds"] for entry in books.rounds()[2:]]
    colors = render(edit.merged(), scene.test_cameras)[0].clamp(0, 1)[mask]
    return {
        "prompt": prompt,
        "seed": seed,
        "overlap": overlap,
        "seconds": sum(it["all"] for it in seconds) / len(seconds),
        "waiting": sum(it["editing"] for it in seconds) / len(seconds),
        "color": [round(float(it), 4) for it in colors.mean(0)],
    }


def row(overlap: float, runs: list[dict]) -> dict[str, float]:
    """Medians over instructions and seeds; ratios and differences within each of them."""
    ours = [it for it in runs if it["overlap"] == overlap]
    theirs = {(it["prompt"], it["seed"]): it for it in runs if it["overlap"] == runs[0]["overlap"]}
    pairs = [(it, theirs[it["prompt"], it["seed"]]) for it in ours]
    apart = [max(abs(a - b) for a, b in zip(it["color"], other["color"])) for it, other in pairs]
    return {
        "overlap": overlap,
        "seconds": median(it["seconds"] for it in ours),
        "waiting": median(it["waiting"] for it in ours),
        "ratio": median(it["seconds"] / other["seconds"] for it, other in pairs),
        "color_mean": sum(apart) / len(apart),
        "color_most": max(apart),
    }


if __name__ == "__main__":
    main()
