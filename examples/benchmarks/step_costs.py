"""What a training step costs on a GPU: time, memory, and how often the CPU waits for it.

    python examples/benchmarks/step_costs.py                       # 4 million Gaussians, of which 200,000 are styled
    python examples/benchmarks/step_costs.py --gaussians 1000000

A styling step (the embedded encoder, default batch) and a step of rounds towards pictures (4 views of 1600x1066, boxes
around the object, L1). The bars: at most 4 waits a styling step; at most 12 GiB of the GPU's memory in either.
Prints a table, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from fasttext2style.evaluation.report import versions
from fasttext2style.guidance.load import load_encoder
from fasttext2style.rounds.gaussian_subject import Capture, GaussianSubject
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.modes import MODES
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from fasttext2style.toy.scene import toy_scene

WIDTH, HEIGHT, BATCH = 1600, 1066, 4
BOX = (300, 100, 1300, 1000)
WARM_UP, COUNTED, TIMED = 3, 5, 30


def scene(gaussians: int, of_object: int) -> tuple[Gaussians, Selection]:
    """The toy scene with object and surroundings repeated, a little apart and thinner, until there are as many."""
    toy = toy_scene()
    inside = toy.object_weights > 0
    generator = torch.Generator().manual_seed(0)

    def repeated(part: Gaussians, count: int) -> Gaussians:
        rows = torch.randint(len(part), (count,), generator=generator)
        copies = part.subset(rows)
        shaken = copies.means + 0.01 * torch.randn(count, 3, generator=generator)
        return replace(copies, means=shaken, log_scales=copies.log_scales - 0.5)

    parts = [
        repeated(toy.gaussians.subset(inside), of_object),
        repeated(toy.gaussians.subset(~inside), gaussians - of_object),
    ]
    weights = torch.zeros(gaussians)
    weights[:of_object] = 1
    return Gaussians.concatenated(parts), Selection(weights, "the object")


def measured(losses: Callable[[], tuple[dict[str, Tensor], dict]], edit: EditableObject) -> dict[str, float]:
    """Median milliseconds, waits and the allocator's peak of whole steps."""
    colors = {name: edit.parameters[name] for name in ("features_dc", "features_rest")}
    steps = ObjectSteps(edit, {name: torch.optim.Adam([value], lr=0.01) for name, value in colors.items()})
    torch.cuda.reset_peak_memory_stats()

    def step(number: int) -> None:
        named, info = losses()
        steps.take(named, info, number)

    for number in range(WARM_UP):
        step(number)
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(COUNTED):
            step(number)
    torch.cuda.set_sync_debug_mode("default")
    waits = [warning for warning in caught if "synchron" in str(warning.message)]
    seconds = []
    for number in range(TIMED):
        torch.cuda.synchronize()
        started = time.perf_counter()
        step(number)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    places = sorted({f"{Path(warning.filename).name}:{warning.lineno}" for warning in waits})
    return {
        "milliseconds": 1000 * statistics.median(seconds),
        "waits_per_step": len(waits) / COUNTED,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
        "waits_at": places,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=4_000_000)
    parser.add_argument("--object", type=int, default=200_000, help="so many of them are the object")
    parser.add_argument("--out", type=Path, default=Path("step_costs.json"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("torch sees no NVIDIA GPU here; waits and the allocator's peak are about nothing else")
    device = torch.device("cuda")
    torch.manual_seed(0)
    gaussians, selection = scene(options.gaussians, options.object)
    gaussians = gaussians.to(device)
    selection = replace(selection, weights=selection.weights.to(device))
    cameras = toy_scene(train_views=64).train_cameras.to(device)
    rows = {}

    edit = EditableObject(gaussians, selection)
    styler = ObjectStyler(edit, cameras, load_encoder("tiny", device=device), "a bear made of gold", StylerConfig())
    rows[f"styling, {styler.sampler.batch} views"] = measured(styler.losses, edit)
    del styler, edit

    scale = torch.tensor([WIDTH / cameras.width, HEIGHT / cameras.height, 1.0], device=device)
    large = replace(cameras, Ks=cameras.Ks * scale[None, :, None], width=WIDTH, height=HEIGHT)[list(range(BATCH))]
    edit = EditableObject(gaussians, selection)
    capture = Capture(large, torch.zeros(BATCH, HEIGHT, WIDTH, 3, dtype=torch.uint8), torch.zeros(3, device=device))
    subject = GaussianSubject(edit, capture, MODES["restyle"], LossConfig())
    views = torch.arange(BATCH)
    x0, y0, x1, y1 = BOX
    boxes = torch.tensor([BOX]).repeat(BATCH, 1)
    target = torch.rand(BATCH, y1 - y0, x1 - x0, 3, device=device)

    def towards_pictures() -> tuple[dict[str, Tensor], dict]:
        images, info = subject.render_boxes(views, boxes)
        return {"pictures": (images - target).abs().mean()} | subject.losses(), info

    rows[f"rounds, {BATCH} boxes of {x1 - x0}x{y1 - y0}"] = measured(towards_pictures, edit)

    name = torch.cuda.get_device_name()
    print(f"{name}, {options.gaussians:,} Gaussians, object {options.object:,}")
    print("| step | ms | waits | peak GiB |\n|---|---|---|---|")
    for what, row in rows.items():
        print(f"| {what} | {row['milliseconds']:.1f} | {row['waits_per_step']:.1f} | {row['peak_gib']:.2f} |")
        print(f"  waits at {row['waits_at']}")
    book = {"device": name, "gaussians": options.gaussians, "object": options.object, "steps": rows}
    options.out.write_text(json.dumps(book | {"versions": versions()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
