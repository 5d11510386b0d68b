"""FastText2ObjectStyle, Table 2: one view at a time of the full scene against batches of the object alone, in one run.

    python examples/benchmarks/paper_table2.py                  # CUDA: the paper's 5,020 view-iterations, batch 64
    python examples/benchmarks/paper_table2.py --views 16       # a CPU takes about half a second per view

ViT-B/32 at 224 x 224 with random weights: what they are does not change how long they take. The paper reports 398 s
against 101 s on an RTX A6000. Prints one table row, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from fasttext2style.evaluation.report import versions
from fasttext2style.guidance.objective import TextStyleConfig
from fasttext2style.guidance.open_clip_encoder import OpenClipEncoder
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from fasttext2style.toy.scene import toy_scene

MODEL = "ViT-B-32"
CAMERAS = 64
"""At least so many, each of which is looked at once before the clock starts."""


def encoder(device: str) -> OpenClipEncoder:
    import open_clip

    model = open_clip.create_model(MODEL, pretrained=None, device=device)
    return OpenClipEncoder(model, open_clip.get_tokenizer(MODEL), f"{MODEL} (random weights)")


def scene(gaussians: int, device: str) -> tuple[Gaussians, Selection]:
    """The toy scene; its surroundings are repeated, a little apart, until there are as many Gaussians as asked for."""
    toy = toy_scene()
    inside = toy.object_weights > 0
    parts, surroundings = [toy.gaussians], toy.gaussians.subset(~inside)
    while sum(map(len, parts)) < gaussians:
        moved = surroundings.subset(torch.arange(min(len(surroundings), gaussians - sum(map(len, parts)))))
        moved.means.add_(torch.randn_like(moved.means) * 0.01)
        parts.append(moved)
    whole = Gaussians.concatenated(parts).to(device)
    weights = torch.zeros(len(whole))
    weights[: len(inside)] = inside.float()
    return whole, Selection(weights, "known")


def seconds(whole, selection, cameras, clip, views: int, batch: int, composite: bool, device: str) -> float:
    edit = EditableObject(whole, selection)
    objective = TextStyleConfig(patches_per_view=0, temperature=1.0)
    config = StylerConfig(objective=objective, views_per_step=batch, composite=composite)
    styler = ObjectStyler(edit, cameras, clip, "truck with flames", config)
    optimizer = torch.optim.Adam([edit.parameters["features_dc"], edit.parameters["features_rest"]], lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        sum(styler.losses()[0].values()).backward()
        optimizer.step()

    step()  # warm-up: compilation, allocator
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(max(1, round(views / styler.sampler.batch))):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, default=5020 if device == "cuda" else 16, help="view-iterations")
    parser.add_argument("--batch", type=int, default=64 if device == "cuda" else 8)
    parser.add_argument("--gaussians", type=int, default=1_000_000 if device == "cuda" else 200_000)
    parser.add_argument("--out", type=Path, default=Path("paper_table2.json"))
    options = parser.parse_args()
    whole, selection = scene(options.gaussians, device)
    cameras = toy_scene(train_views=max(CAMERAS, options.batch)).train_cameras.to(device)
    clip = encoder(device)
    common = (whole, selection, cameras, clip, options.views)
    one_by_one = seconds(*common, 1, True, device)
    batched = seconds(*common, options.batch, False, device)
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    result = {
        "device": name,
        "view_iterations": options.views,
        "gaussians": len(whole),
        "object": selection.count,
        "batch": options.batch,
        "one_view_full_scene_seconds": one_by_one,
        "batched_object_only_seconds": batched,
        "ratio": one_by_one / batched,
        "versions": versions(),
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print("| device | view-iterations | Gaussians (object) | one view, full scene | batched, object only | ratio |")
    print(
        f"| {name} | {options.views} | {len(whole):,} ({selection.count:,}) | {one_by_one:.1f} s "
        f"| {batched:.1f} s (batch {options.batch}) | {one_by_one / batched:.2f} |"
    )


if __name__ == "__main__":
    main()
