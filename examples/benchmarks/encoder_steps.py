"""What a styling step costs by each encoder, side by side: the embedded one, "offline", and CLIP ViT-B/32.

    python examples/benchmarks/encoder_steps.py                     # without the extra "offline": the other two

The toy bear, the defaults of a CPU (4 views a step, 2 patches each beside the whole), each encoder at its own
resolution. CLIP has random weights: what they are does not change how long they take. Steps take turns, so that a busy
machine slows all alike; seconds are of the process's own CPU time, medians. The bar: "offline" at most 5 times the
embedded one. Prints a table, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from fasttext2style.evaluation.report import versions
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import encoder_is_here, load_encoder
from fasttext2style.guidance.open_clip_encoder import OpenClipEncoder
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from fasttext2style.toy.scene import ToyScene, toy_scene

CLIP = "ViT-B-32"
WARM_UP = 2
BAR = 5.0


def encoders() -> dict[str, TextImageEncoder]:
    import open_clip

    found = {name: load_encoder(name) for name in ("tiny", "offline") if encoder_is_here(name)}
    clip = open_clip.create_model(CLIP, pretrained=None)
    return found | {CLIP: OpenClipEncoder(clip, open_clip.get_tokenizer(CLIP), f"{CLIP} (random weights)")}


def step_of(scene: ToyScene, encoder: TextImageEncoder) -> Callable[[int], float]:
    """A function that takes one step, the one of this number; its loss."""
    edit = EditableObject(scene.gaussians, Selection(scene.object_weights, "the bear"))
    styler = ObjectStyler(edit, scene.train_cameras, encoder, "a bear made of gold", StylerConfig())
    colors = {name: edit.parameters[name] for name in ("features_dc", "features_rest")}
    steps = ObjectSteps(edit, {name: torch.optim.Adam([value], lr=0.01) for name, value in colors.items()})
    return lambda number: steps.take(*styler.losses(), number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("encoder_steps.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    scene, loaded = toy_scene(), encoders()
    steps = {name: step_of(scene, encoder) for name, encoder in loaded.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(WARM_UP + options.steps):
        for name, step in steps.items():
            started = time.process_time()
            step(number)
            if number >= WARM_UP:
                seconds[name].append(time.process_time() - started)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    rows = {
        name: {
            "pixels": loaded[name].resolution,
            "seconds": round(median, 4),
            "of tiny": round(median / medians["tiny"], 2),
        }
        for name, median in medians.items()
    }
    print("| encoder | pixels | CPU seconds a step | of the embedded one |\n|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['pixels']} | {row['seconds']:.3f} | {row['of tiny']:.2f} |")
    if "offline" in rows:
        print(f"offline: {'within' if rows['offline']['of tiny'] <= BAR else 'ABOVE'} {BAR:.0f} times the embedded one")
    options.out.write_text(json.dumps({"steps": rows, "versions": versions()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
