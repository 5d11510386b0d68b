"""What takes fog and needles out of a reconstruction: held-out PSNR with and without, the mean and the worst view.

    python examples/benchmarks/clean_reconstruction.py --data ../shared/data/captures/bear [--no-points]

Few photographs, evenly chosen (--photographs), are trained on; as many others between them are held out, so that what
hangs before a camera that nobody trained on is seen. Ways are tried one after the other, from one seed. Prints a table
row per way, writes JSON, and the worst view beside its photograph.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy
from gsplat.strategy.ops import remove
from reconstruction import run_of

from fasttext2style.evaluation.report import to_uint8, versions, write_png
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians

WAYS = ("as it is", "before black", "before random colours", "without huge ones", "needles cost")
NEAREST = (0.1, 0.2, 0.3)
"""Of the cameras' distance from the middle: what is nearer to one is left out afterwards, and measured."""


class WithoutHuge(DefaultStrategy):
    """Takes out what is larger than splatfacto allows at every refinement; gsplat begins after a reset of opacities,
    which a short reconstruction has not."""

    @torch.no_grad()
    def _prune_gs(self, params: Any, optimizers: Any, state: dict, step: int) -> int:
        gone = params["opacities"].flatten().sigmoid() < self.prune_opa
        gone |= params["scales"].exp().amax(dim=-1) > self.prune_scale3d * state["scene_scale"]
        if step < self.refine_scale2d_stop_iter:
            gone |= state["radii"] > self.prune_scale2d
        if bool(gone.any()):
            remove(params=params, optimizers=optimizers, state=state, mask=gone)
        return int(gone.sum())


def thinned(data: Path, photographs: int, has_points: bool) -> Path:
    """A capture of the same photographs, of which so many are trained on, and as many others held out."""
    meta = json.loads((data / "transforms.json").read_text())
    frames = sorted(meta["frames"], key=lambda frame: frame["file_path"])
    for frame in frames:
        frame["file_path"] = str((data / frame["file_path"]).absolute())
    steps = torch.linspace(0, len(frames) - 1, 2 * photographs).round().long().unique().tolist()
    names = [frames[step]["file_path"] for step in steps]
    meta |= {"frames": [frames[step] for step in steps], "train_filenames": names[::2], "val_filenames": names[1::2]}
    points = meta.pop("ply_file_path", None)
    if points and has_points:
        meta["ply_file_path"] = str((data / points).absolute())
    folder = Path(tempfile.mkdtemp())
    (folder / "transforms.json").write_text(json.dumps(meta))
    return folder


def reconstruct(data: Path, steps: int, size: int, way: str) -> tuple[dict[str, float], torch.Tensor]:
    """Train; returns numbers, and the worst held-out view beside its photograph."""
    config = run_of(data, steps, size)
    config.pipeline.model.use_scale_regularization = way == "needles cost"
    torch.manual_seed(0)
    config.save_config()
    started = time.process_time()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    model = trainer.pipeline.model
    if way.startswith("before "):
        model.config.background_color = "black" if way == "before black" else "random"
    if way == "without huge ones":
        model.strategy.__class__ = WithoutHuge
    trainer.train()
    seconds = time.process_time() - started
    model.eval()
    psnrs, pairs = held_out(trainer)
    worst = int(psnrs.argmin())
    numbers = {"psnr": float(psnrs.mean()), "worst": float(psnrs[worst]), "cpu_seconds": seconds}
    whole = model.gaussians()
    for reach in NEAREST:
        model.set_gaussians(whole.subset(~near(whole, trainer.pipeline.datamanager.cameras("train"), reach)))
        numbers[f"nearer_than_{reach}_left_out"] = float((held_out(trainer)[0] - psnrs).mean())
    return numbers | shapes(whole), pairs[worst]


def held_out(trainer: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """PSNR of each held-out view, and photographs with their renders."""
    model, psnrs, pairs = trainer.pipeline.model, [], []
    for camera, batch in trainer.pipeline.datamanager.fixed_indices_eval_dataloader:
        metrics, images = model.get_image_metrics_and_images(model.get_outputs_for_camera(camera), batch)
        psnrs.append(metrics["psnr"])
        pairs.append(images["img"])
    return torch.tensor(psnrs), pairs


def near(gaussians: Gaussians, cameras: Cameras, reach: float) -> torch.Tensor:
    """[gaussians] nearer to some camera than this share of their distance from the middle."""
    distance = (cameras.centers - gaussians.means.median(dim=0).values).norm(dim=1).median()
    found = torch.zeros(len(gaussians), dtype=torch.bool)
    for center in cameras.centers:
        found |= (gaussians.means - center).norm(dim=1) < reach * distance
    return found


def shapes(gaussians: Gaussians) -> dict[str, float]:
    """How many are huge (half a unit, half the reach of the cameras) or needles (10 times as long as wide)."""
    _, middle, longest = gaussians.scales.sort(dim=1).values.unbind(dim=1)
    return {
        "gaussians": len(gaussians),
        "huge": int((longest > 0.5).sum()),
        "needles": int(((longest > 10 * middle) & (longest > 0.02)).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, nargs="+", help="captures")
    parser.add_argument("--photographs", type=int, default=20, help="to train on")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--size", type=int, default=80, help="longest side of the views")
    parser.add_argument("--no-points", action="store_true", help="as of a capture without a point cloud")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--out", type=Path, default=Path("clean_reconstruction.json"))
    options = parser.parse_args()
    rows: list[dict] = []
    left_out = " | ".join(f"nearer than {reach}" for reach in NEAREST)
    print(f"| capture | way | held-out PSNR | worst | Gaussians | huge | needles | {left_out} |", flush=True)
    for data in options.data:
        capture = thinned(data, options.photographs, not options.no_points)
        for way in options.ways:
            row, picture = reconstruct(capture, options.steps, options.size, way)
            changes = " | ".join(f"{row[f'nearer_than_{reach}_left_out']:+.2f}" for reach in NEAREST)
            print(
                f"| {data.name} | {way} | {row['psnr']:.2f} | {row['worst']:.2f} | {row['gaussians']:,} | "
                f"{row['huge']} | {row['needles']} | {changes} |",
                flush=True,
            )
            write_png(options.out.with_name(f"{options.out.stem}_{data.name}_{way}.png"), to_uint8(picture))
            rows.append({"capture": data.name, "way": way, **row})
            used = {name: getattr(options, name) for name in ("photographs", "steps", "size", "no_points")}
            written = {"rows": rows, "settings": used, "versions": versions()}
            options.out.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
