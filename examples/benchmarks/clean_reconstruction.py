"""What takes fog and needles out of a reconstruction: held-out PSNR with and without, the mean and the worst view.

    python examples/benchmarks/clean_reconstruction.py --data ../shared/data/captures/bear [--no-points] [--seeds 0 1]
    python examples/benchmarks/clean_reconstruction.py --data toy [--flawed]

Few photographs, evenly chosen (--photographs), are trained on; as many others between them are held out, so that what
hangs before a camera that nobody trained on is seen. Ways are tried one after the other, from the same seeds. "toy" is
the embedded scene; --flawed puts a finger before the lens in two of its photographs, and a flash into another. Prints a
table row per way and seed, writes JSON, and the worst view beside its photograph.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gsplat.strategy import DefaultStrategy
from gsplat.strategy.ops import remove, reset_opa
from PIL import Image
from reconstruction import run_of

from fasttext2style.captures.write import write_capture
from fasttext2style.evaluation.report import to_uint8, versions, write_png
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.glued import glued_to_a_lens
from fasttext2style.toy.scene import FOCUS, toy_scene

WAYS = (
    "as it is",
    "before black",
    "before random colours",
    "without huge ones",
    "needles cost",
    "faint again once",
    "what is seen costs",
    "with what hangs before lenses",
)


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


class FaintAgainOnce(DefaultStrategy):
    """The usual reset of opacities, once, at half of the refinement; not for as long as usual nothing is added."""

    def step_post_backward(
        self, params: Any, optimizers: Any, state: dict, step: int, info: dict, packed=False
    ) -> None:
        super().step_post_backward(params, optimizers, state, step, info, packed)
        if step == self.refine_stop_iter // 2:
            reset_opa(params=params, optimizers=optimizers, state=state, value=2 * self.prune_opa)


def toy(photographs: int, flawed: bool) -> Path:
    """The embedded scene from all around, as many views held out as trained on."""
    folder, count = Path(tempfile.mkdtemp()), 2 * photographs
    elevations = torch.tensor([12.0, 14.0, 34.0, 32.0]).repeat(1 + count // 4)[:count]
    cameras = Cameras.orbit(FOCUS, 2.9, count, 160, 160, fov_degrees=45.0, elevation_degrees=elevations)
    names = write_capture(folder, toy_scene().gaussians, {"train": cameras})
    if flawed:
        for number, flaw in ((4, _finger), (12, _finger), (20, _flash)):
            path = folder / names[number]
            image = flaw(np.asarray(Image.open(path)).astype(float))
            Image.fromarray(image.clip(0, 255).round().astype(np.uint8)).save(path)
    return folder


def _finger(image: np.ndarray) -> np.ndarray:
    """A blurred finger over a third of the picture, from below."""
    height, width, _ = image.shape
    down, across = np.mgrid[:height, :width]
    far = np.hypot((across - 0.7 * width) / (0.3 * width), (down - 1.1 * height) / (0.75 * height))
    covered = 1 / (1 + np.exp((far - 1) / 0.06))[..., None]
    return image * (1 - covered) + covered * np.array([205.0, 150.0, 130.0])


def _flash(image: np.ndarray) -> np.ndarray:
    return 1.35 * image + 25


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


def reconstruct(data: Path, steps: int, size: int, way: str, seed: int) -> tuple[dict[str, Any], torch.Tensor]:
    """Train; returns numbers, and the worst held-out view beside its photograph."""
    config = run_of(data, steps, size)
    config.pipeline.model.use_scale_regularization = way == "needles cost"
    torch.manual_seed(seed)
    config.machine.seed = seed
    config.save_config()
    started = time.process_time()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    model = trainer.pipeline.model
    if way.startswith("before "):
        model.config.background_color = "black" if way == "before black" else "random"
    if way != "as it is":  # one change at a time: none of these was tried beside it
        model.strategy.hanging = None
    kinds = {"without huge ones": WithoutHuge, "faint again once": FaintAgainOnce}
    if way in kinds:
        model.strategy.__class__ = kinds[way]
    if way == "what is seen costs":
        model.get_loss_dict = with_costs(model, model.get_loss_dict)
    trainer.train()
    seconds = time.process_time() - started
    model.eval()
    psnrs, pairs = held_out(trainer)
    worst = int(psnrs.argmin())
    numbers = {"psnr": float(psnrs.mean()), "worst": float(psnrs[worst]), "cpu_seconds": seconds}
    numbers |= shapes(model.gaussians()) | {"psnrs": [round(float(psnr), 2) for psnr in psnrs]}
    hanging = glued_to_a_lens(model.gaussians(), trainer.pipeline.datamanager.cameras("train"))
    numbers |= {"before_lenses": int(hanging.sum())}
    return numbers, pairs[worst]


def with_costs(model: Any, loss: Callable[..., dict]) -> Callable[..., dict]:
    """3DGS-MCMC's costs of opacity and size (arXiv 2404.09591, 4.2), with its weights."""

    def and_costs(*given: Any, **named: Any) -> dict:
        costs = 0.01 * model.opacities.sigmoid().mean() + 0.01 * model.scales.exp().mean()
        return loss(*given, **named) | {"costs": costs}

    return and_costs


def held_out(trainer: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """PSNR of each held-out view, and photographs with their renders."""
    model, psnrs, pairs = trainer.pipeline.model, [], []
    for camera, batch in trainer.pipeline.datamanager.fixed_indices_eval_dataloader:
        metrics, images = model.get_image_metrics_and_images(model.get_outputs_for_camera(camera), batch)
        psnrs.append(metrics["psnr"])
        pairs.append(images["img"])
    return torch.tensor(psnrs), pairs


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
    parser.add_argument("--data", type=Path, required=True, nargs="+", help="captures, or toy")
    parser.add_argument("--flawed", action="store_true", help="a finger and a flash in photographs of toy")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--photographs", type=int, default=20, help="to train on")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--size", type=int, default=80, help="longest side of the views")
    parser.add_argument("--no-points", action="store_true", help="as of a capture without a point cloud")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--out", type=Path, default=Path("clean_reconstruction.json"))
    options = parser.parse_args()
    rows: list[dict] = []
    print(
        "| capture | way | seed | held-out PSNR | worst | Gaussians | huge | needles | before lenses | CPU s |",
        flush=True,
    )
    for data in options.data:
        own = toy(options.photographs, options.flawed) if data.name == "toy" else data
        capture = thinned(own, options.photographs, not options.no_points)
        for way, seed in ((way, seed) for seed in options.seeds for way in options.ways):
            row, picture = reconstruct(capture, options.steps, options.size, way, seed)
            print(
                f"| {data.name} | {way} | {seed} | {row['psnr']:.2f} | {row['worst']:.2f} | {row['gaussians']:,} | "
                f"{row['huge']} | {row['needles']} | {row['before_lenses']} | {row['cpu_seconds']:.0f} |",
                flush=True,
            )
            write_png(options.out.with_name(f"{options.out.stem}_{data.name}_{way}_{seed}.png"), to_uint8(picture))
            rows.append({"capture": data.name, "way": way, "seed": seed, **row})
            used = {name: getattr(options, name) for name in ("photographs", "steps", "size", "no_points", "flawed")}
            written = {"rows": rows, "settings": used, "versions": versions()}
            options.out.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
