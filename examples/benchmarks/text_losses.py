"""Which text loss styles best? The toy scene's bear under each, with the same seed, steps and encoder.

    python examples/benchmarks/text_losses.py --out outputs/text_losses

Prints a table and writes text_losses.json (with versions) and text_losses.png (rows are variants, columns prompts,
views that were not trained on). Cosines are measured by the encoder that was optimised, so they grade their own work:
trust the hue error (against colours that the words mean to people, degrees in CIELAB) and your eyes.
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image, ImageDraw
from skimage.color import rgb2lab

from fasttext2style.guidance.image_losses import structure
from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.objective import TextStyleConfig
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler, StylerConfig
from fasttext2style.styling.views import object_views
from fasttext2style.toy.scene import toy_scene

MEANT = {  # sRGB that people would pick for the word
    "red": (0.80, 0.10, 0.10),
    "blue": (0.10, 0.20, 0.80),
    "green": (0.15, 0.60, 0.15),
    "gold": (0.83, 0.65, 0.20),
    "wood": (0.55, 0.36, 0.20),
    "ice": (0.70, 0.87, 0.95),
    "lava": (0.75, 0.20, 0.05),
    "grass": (0.30, 0.55, 0.15),
}

VARIANTS = {
    "cosine": TextStyleConfig(loss="cosine"),
    "nll": TextStyleConfig(loss="nll"),
    "directional": TextStyleConfig(loss="directional"),
    "nll+directional": TextStyleConfig(loss="nll+directional"),
    "nll, one fixed view": TextStyleConfig(loss="nll", patches_per_view=0, backgrounds=("black",)),
    "nll, temperature 1": TextStyleConfig(loss="nll", temperature=1.0),
    "nll + structure": TextStyleConfig(loss="nll", content="structure"),
    "nll + 0.3 trunk": TextStyleConfig(loss="nll", content="trunk", content_weight=0.3),
}

LEARNING_RATES = {"features_dc": 0.02, "features_rest": 0.001}
"""Colours only, at the method's own rates: what differs is the loss."""


@dataclass
class Settings:
    """What to compare."""

    out: Path = Path("outputs/text_losses")
    prompts: tuple[str, ...] = ("red", "wood", "ice", "zebra")
    variants: tuple[str, ...] = tuple(VARIANTS)
    steps: int = 60
    seed: int = 0
    encoder: str = "tiny"
    encoder_weights: str | None = None


def main(settings: Settings) -> None:
    """Style the bear by every prompt under every variant."""
    torch.set_num_threads(1)
    settings.out.mkdir(parents=True, exist_ok=True)
    scene = toy_scene(clutter=0)
    encoder = load_encoder(settings.encoder, settings.encoder_weights)
    bear = scene.gaussians.subset(scene.object_weights > 0)
    test_views = object_views(bear, scene.test_cameras, 128)[:2]
    originals, alphas, _ = render(bear, test_views)
    rows, pictures = [], []
    for name in settings.variants:
        shown = []
        for prompt in settings.prompts:
            edit = EditableObject(scene.gaussians, Selection(scene.object_weights, "the bear"))
            config = StylerConfig(objective=VARIANTS[name], train=tuple(LEARNING_RATES))
            styler = ObjectStyler(edit, scene.train_cameras, encoder, prompt, config, settings.seed)
            before = styler.similarity(edit.original).mean().item()
            started = time.perf_counter()
            optimise(styler, settings.steps)
            seconds = time.perf_counter() - started
            images, opacities, _ = render(edit.gaussians(()), test_views)
            images = images.clamp(0, 1)
            rows.append(
                {"variant": name, "prompt": prompt, "seconds": round(seconds, 1), "cosine before": round(before, 3)}
                | {"cosine": round(styler.similarity(edit.gaussians(())).mean().item(), 3)}
                | color_figures(images[alphas[..., 0] > 0.9].numpy(), prompt)
                | {"edges lost": round(structure(images, originals).item(), 3)}
            )
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
            shown.append(torch.cat(list((images + 0.7 * (1 - opacities)).clamp(0, 1)), 1))
        pictures.append(torch.cat(shown, 1))
    write_report(settings, encoder.name, rows, torch.cat(pictures))


def optimise(styler: ObjectStyler, steps: int) -> None:
    """`steps` steps of Adam, as the trainer does them."""
    groups = [{"params": [styler.edit.parameters[name]], "lr": rate} for name, rate in LEARNING_RATES.items()]
    optimizer = torch.optim.Adam(groups, eps=1e-15)
    for _ in range(steps):
        optimizer.zero_grad()
        losses, _ = styler.losses()
        sum(losses.values()).backward()
        optimizer.step()


def color_figures(pixels: np.ndarray, prompt: str) -> dict:
    """Mean colour of the object, how far its hue is from the meant one, and how much it varies over the object."""
    figures = {"mean rgb": [round(float(value), 2) for value in pixels.mean(0)]}
    figures["colour spread"] = round(float(rgb2lab(pixels)[:, 1:].std(0).mean()), 1)
    if prompt in MEANT:
        (a, b), (meant_a, meant_b) = (rgb2lab(np.array(color))[1:] for color in (pixels.mean(0), MEANT[prompt]))
        difference = np.degrees(np.arctan2(b, a) - np.arctan2(meant_b, meant_a))
        figures["hue error"] = round(float(abs((difference + 180) % 360 - 180)))
        figures["chroma of meant"] = round(float(np.hypot(a, b) / np.hypot(meant_a, meant_b)), 2)
    return figures


def write_report(settings: Settings, encoder: str, rows: list[dict], sheet: torch.Tensor) -> None:
    """Table by variant to the screen; everything to JSON; the sheet, labelled, to PNG."""
    columns = ("hue error", "chroma of meant", "colour spread", "edges lost", "cosine before", "cosine", "seconds")
    print(f"\n{'mean over prompts':24s}" + "".join(f"{column:>17s}" for column in columns))
    for name in settings.variants:
        mine = [row for row in rows if row["variant"] == name]
        means = [np.mean([row[column] for row in mine if column in row]) for column in columns]
        print(f"{name:24s}" + "".join(f"{mean:17.2f}" for mean in means))
    packages = {package: version(package) for package in ("torch", "numba", "open_clip_torch", "fasttext2style")}
    report = {
        "settings": asdict(settings) | {"out": str(settings.out)},
        "encoder": encoder,
        "versions": {"python": platform.python_version(), **packages},
        "machine": platform.processor() or platform.machine(),
        "configs": {name: asdict(VARIANTS[name]) for name in settings.variants},
        "rows": rows,
    }
    (settings.out / "text_losses.json").write_text(json.dumps(report, indent=1))
    picture = Image.fromarray((sheet * 255).round().byte().numpy())
    draw = ImageDraw.Draw(picture)
    height, width = picture.height // len(settings.variants), picture.width // len(settings.prompts)
    for row, name in enumerate(settings.variants):
        for column, prompt in enumerate(settings.prompts):
            draw.text((column * width + 3, row * height + 2), f"{prompt}: {name}", fill=(0, 0, 0))
    picture.save(settings.out / "text_losses.png")
    print(f"Pictures and numbers are in {settings.out}")


if __name__ == "__main__":
    main(tyro.cli(Settings))
