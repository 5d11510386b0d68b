"""What makes edits of neighbouring views agree: shared noise, each view's own, attention to key views?

    python examples/benchmarks/editor_consistency.py

Edits views of the embedded scene and measures how the colour under each of the statue's Gaussians varies from view to
view (evaluation.footprints), against how far the edit went: an editor that does nothing agrees with itself best. Prints
one table row per variant, writes editor_consistency.json and a picture with one row of views per variant.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from PIL import Image

from fasttext2style.editors.editor import EditRequest
from fasttext2style.editors.load import load_editor
from fasttext2style.evaluation.footprints import footprint_deviation
from fasttext2style.evaluation.report import versions
from fasttext2style.scene.rasterize import render
from fasttext2style.toy.scene import toy_scene

VARIANTS = {
    "shared noise": (True, 0),
    "own noise": (False, 0),
    "shared noise, 1 key view": (True, 1),
    "shared noise, 4 key views": (True, 4),
    "own noise, 4 key views": (False, 4),
}
"""Name -> whether noise is shared, number of key views."""


def main() -> None:
    parser = argparse.ArgumentParser(description="How edits of neighbouring views agree")
    parser.add_argument("--model", default="tiny", help="an InstructPix2Pix that load_editor takes")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--instructions", nargs="+", default=["make it red", "turn it into lava", "turn it into wood"])
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("outputs/editor_consistency"))
    options = parser.parse_args()

    scene = toy_scene(width=128, height=128, train_views=options.views)
    cameras, statue = scene.train_cameras, scene.object_weights > 0
    images = render(scene.gaussians, cameras)[0].clamp(0, 1)
    masks = scene.masks(cameras)[..., None].float()
    inside = (masks > 0.5).expand_as(images)
    unedited = footprint_deviation(scene.gaussians, cameras, images, statue)
    print(f"unedited renders deviate by {unedited:.4f}")
    print("| variant | deviation between views | change | s per view |\n|---|---|---|---|")

    rows, pictures = [], []
    for name, (shared_noise, key_views) in VARIANTS.items():
        editor = load_editor(options.model, options.device, key_views=key_views)
        deviations, changes, seconds = [], [], 0.0
        for instruction in options.instructions:
            request = EditRequest(images, instruction, mask=masks, steps=options.steps, shared_noise=shared_noise)
            result = editor.edit(request)
            deviations.append(footprint_deviation(scene.gaussians, cameras, result.images, statue))
            changes.append((result.images - images)[inside].abs().mean().item())
            seconds += result.info["seconds"]
            pictures.append(torch.cat(list(result.images), dim=1))
        row = {
            "variant": name,
            "deviation": round(sum(deviations) / len(deviations), 4),
            "change": round(sum(changes) / len(changes), 4),
            "seconds per view": round(seconds / options.views / len(options.instructions), 3),
        }
        rows.append(row)
        print("| " + " | ".join(str(value) for value in row.values()) + " |", flush=True)

    options.out.mkdir(parents=True, exist_ok=True)
    sheet = (torch.cat(pictures) * 255).round().byte().numpy()
    Image.fromarray(sheet).save(options.out / "editor_consistency.png")
    settings = {name: str(value) for name, value in vars(options).items()}
    report = {"settings": settings, "versions": versions(), "unedited": unedited, "rows": rows}
    (options.out / "editor_consistency.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
