"""Reconstruction on our rasterizer against the same settings on a dense float32 reference: held-out PSNR, and time.

    python examples/benchmarks/reconstruction.py --data ../shared/data/captures/bear --steps 300 --size 64

The reference looks at every Gaussian for every pixel: it is only affordable on small views and for few steps. Without
--reference only ours is timed (--size 256 --steps 3000 is what `ns-train fasttext2style` does on a CPU). Prints one
table row per backend, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # the dense reference lives with the tests

from fasttext2style.evaluation.report import versions
from fasttext2style.plugin.host import model
from fasttext2style.plugin.scene.method import fasttext2style_scene


def run_of(data: Path, steps: int, size: int) -> Any:
    """A reconstruction on a CPU, in a folder of its own."""
    config = deepcopy(fasttext2style_scene.config)
    config.data = config.pipeline.datamanager.data = data
    config.pipeline.datamanager.max_image_size = size
    config.pipeline.model = model.SceneModelConfig.for_cpu(steps)
    config.max_num_iterations = steps
    config.optimizers["means"]["scheduler"].max_steps = steps
    config.vis, config.output_dir = "tensorboard", Path(tempfile.mkdtemp())
    config.set_timestamp()
    return config


def reconstruct(data: Path, steps: int, size: int, max_points: int) -> dict[str, float]:
    """Train from the capture's sparse points; returns seconds and held-out metrics."""
    config = run_of(data, steps, size)
    if max_points:
        config.pipeline.model.stop_split_at = 0
    torch.manual_seed(0)
    config.save_config()
    started = time.perf_counter()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    if max_points:
        thin_out(trainer.pipeline.model, max_points)
        trainer.optimizers = trainer.setup_optimizers()
    trainer.train()
    seconds = time.perf_counter() - started
    metrics = trainer.pipeline.get_average_eval_image_metrics()
    count = trainer.pipeline.model.num_points
    return {"seconds": seconds, "psnr": metrics["psnr"], "ssim": metrics["ssim"], "gaussians": count}


def thin_out(scene_model: model.SceneModel, count: int) -> None:
    """Keep `count` of the points, larger in turn, so that the dense reference can follow."""
    gaussians = scene_model.gaussians()
    keep = torch.randperm(len(gaussians), generator=torch.Generator().manual_seed(0))[:count]
    fewer = gaussians.subset(keep)
    fewer.log_scales.add_(torch.log(torch.tensor(len(gaussians) / count)) / 3)
    for name, value in fewer.to_splatfacto().items():
        scene_model.gauss_params[name] = torch.nn.Parameter(value.clone())
    scene_model.selection = torch.ones(count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--size", type=int, default=64, help="longest side of the views")
    parser.add_argument(
        "--points", type=int, default=0, help="thin the sparse points out to this many; no densification"
    )
    parser.add_argument("--reference", action="store_true", help="also train on the dense reference")
    parser.add_argument("--out", type=Path, default=Path("reconstruction.json"))
    options = parser.parse_args()
    settings = (options.data.absolute(), options.steps, options.size, options.points)
    results = {"ours": reconstruct(*settings)}
    if options.reference:
        from tests.scene.dense_reference import rasterize_dense

        model.rasterize = lambda absgrad, **arguments: rasterize_dense(**arguments)
        results["dense reference"] = reconstruct(*settings)
    print("| rasterizer | steps | size | Gaussians | held-out PSNR | SSIM | seconds |")
    for name, row in results.items():
        print(
            f"| {name} | {options.steps} | {options.size} | {row['gaussians']:,} | {row['psnr']:.2f} | "
            f"{row['ssim']:.3f} | {row['seconds']:.0f} |"
        )
    settings_used = {"steps": options.steps, "size": options.size, "points": options.points}
    options.out.write_text(json.dumps(results | {"settings": settings_used, "versions": versions()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
