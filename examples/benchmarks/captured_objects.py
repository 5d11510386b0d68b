"""The object in captures that are photographed, reconstructed, and searched: a face, one side, a desk full of things.

    python examples/benchmarks/captured_objects.py [--scenes face desk corner] [--no-points]

Made scenes of tests/selection are photographed as by hand (exposures that differ, noise, blur), reconstructed from few
inexact points or none, and the object is found there. Prints the mean intersection over union with exact
masks over training and held-out views, and what is doubted; writes JSON, and the candidates in four views.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "selection")]

from hard_scenes import SCENES, HardScene  # noqa: E402
from reconstruction import run_of  # noqa: E402
from shared_scenes import coverage  # noqa: E402

from fasttext2style.captures import write  # noqa: E402
from fasttext2style.evaluation.object_pictures import write_object_picture  # noqa: E402
from fasttext2style.evaluation.report import versions  # noqa: E402
from fasttext2style.scene.cameras import Cameras  # noqa: E402
from fasttext2style.selection.automatic import candidates  # noqa: E402
from fasttext2style.selection.doubts import doubts  # noqa: E402

POINTS = 2000


def photographed(scene: HardScene, folder: Path, size: int, has_points: bool) -> Cameras:
    """Write a capture; every fifth view is held out. Returns all cameras in the order of their files' names."""
    write.POINTS = POINTS
    cameras = scene.cameras.resized(size, size)
    held_out = torch.arange(len(cameras)) % 5 == 2
    splits = {"test": cameras[held_out.nonzero()[:, 0]], "train": cameras[(~held_out).nonzero()[:, 0]]}
    names = write.write_capture(folder, scene.gaussians, splits)
    draw = np.random.default_rng(0)
    for name in names:
        image = Image.open(folder / name).filter(ImageFilter.GaussianBlur(draw.uniform(0.2, 0.7)))
        pixels = np.asarray(image) * draw.uniform(0.9, 1.1) + draw.normal(0, 4, (size, size, 3))
        Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8)).save(folder / name)
    if not has_points:
        path = folder / "transforms.json"
        meta = json.loads(path.read_text())
        del meta["ply_file_path"]
        path.write_text(json.dumps(meta))
    return Cameras.concatenated(list(splits.values()))


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp())
    scene = SCENES[name](torch.Generator().manual_seed(7))
    cameras = photographed(scene, folder, options.size, not options.no_points)
    exact = coverage(scene.gaussians, scene.exact, cameras) > 0.5
    torch.manual_seed(0)
    config = run_of(folder, options.steps, options.size)
    config.save_config()
    started = time.process_time()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    seconds, psnr = time.process_time() - started, trainer.pipeline.get_average_eval_image_metrics()["psnr"]
    model, datamanager = trainer.pipeline.model.eval(), trainer.pipeline.datamanager
    gaussians, seen = model.gaussians(), datamanager.cameras("train")
    views = Cameras.concatenated([datamanager.cameras("eval"), seen])
    found = candidates(gaussians, seen)
    ious = []
    for candidate in found:
        shown = coverage(gaussians, candidate.weights, views) > 0.5
        ious.append(((shown & exact).sum(dim=(1, 2)) / (shown | exact).sum(dim=(1, 2)).clamp_min(1)).mean().item())
    objects = {f"{number + 1} (IoU {iou:.2f})": one.weights for number, (one, iou) in enumerate(zip(found, ious))}
    write_object_picture(options.out.with_name(f"{options.out.stem}_{name}.png"), gaussians, seen, objects)
    said = doubts(gaussians, seen, found[0].weights)
    return {"scene": name, "ious": ious, "doubts": said, "psnr": psnr, "gaussians": len(gaussians), "cpu_s": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=["face", "desk", "corner"])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--no-points", action="store_true", help="as of a capture without a point cloud")
    parser.add_argument("--out", type=Path, default=Path("captured_objects.json"))
    options = parser.parse_args()
    rows: list[dict] = []
    print("| capture | IoU | other candidates | held-out PSNR | CPU s | doubts |", flush=True)
    for name in options.scenes:
        row = measured(name, options)
        rows.append(row)
        others, said = " ".join(f"{iou:.2f}" for iou in row["ious"][1:]), " ".join(row["doubts"])
        print(
            f"| {name} | {row['ious'][0]:.3f} | {others} | {row['psnr']:.1f} | {row['cpu_s']:.0f} | {said} |",
            flush=True,
        )
        used = {name: getattr(options, name) for name in ("steps", "size", "no_points")}
        options.out.write_text(json.dumps({"rows": rows, "settings": used, "versions": versions()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
