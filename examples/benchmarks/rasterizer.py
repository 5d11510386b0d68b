"""How fast the CPU rasterizer is, side by side with what else one could run without a GPU. One claim per row.

    python examples/benchmarks/rasterizer.py [--json results.json] [--threads 1]

All times are CPU time (process_time) in ms, the best of a few repeats, on one thread unless asked: they mean the same
on a busy machine. Baselines run in this process on the same splats:
- dense tiles: plain torch, all splats of a tile against all its pixels (tests/scene/dense_reference.py);
- pair list: gsplat's own torch algorithm (`_rasterize_to_pixels`), which lists every (pixel, splat) pair and leaves
  the rest to autograd. Two of its parts are CUDA-only and stand in here as torch code; it also gets our sorted tile
  lists as a gift, since its own Python loop takes minutes.
"Raster" is from projected, sorted splats to pixels, and back to gradients of splats.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numba
import numpy as np
import torch

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "scene")]

from dense_reference import blend as blend_dense  # noqa: E402

from fasttext2style.scene.cpu import jobs as cpu_jobs  # noqa: E402
from fasttext2style.scene.cpu.backend import Blend  # noqa: E402
from fasttext2style.scene.cpu.splats import sort_and_bin  # noqa: E402
from fasttext2style.scene.rasterize import rasterize  # noqa: E402

Steps = tuple[Callable[[], torch.Tensor], list[torch.Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write all numbers and versions here")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[dict] = []

    def report(claim: str, bar: str, met: bool | None, **numbers: float) -> None:
        rows.append({"claim": claim, "bar": bar, "met": met, **numbers})
        verdict = {True: "met", False: "MISSED", None: ""}[met]
        listed = "  ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in numbers.items())
        print(f"{claim:46} {bar:28} {verdict:7} {listed}", flush=True)

    for count, size, bar in [(10_000, 224, 30.0), (100_000, 512, 45.0)]:
        splats = projected(surface(count, views=1, size=size))
        check_same_picture(splats)
        ours = best(ours_from(splats), options.repeats)
        dense = best(dense_from(splats), 1 if count > 50_000 else 2)
        ratio = sum(dense) / sum(ours)
        name = f"raster vs dense tiles, {count // 1000}k, {size}x{size}"
        report(name, f">= {bar:.0f} times", ratio >= bar, ratio=ratio, **named(ours, "ours"), **named(dense, "dense"))
        if count == 10_000:
            pairs = best(pairs_from(splats), 2)
            ratio = sum(pairs) / sum(ours)
            name = f"raster vs gsplat's pair list, {count // 1000}k, {size}x{size}"
            report(name, ">= 20 times", ratio >= 20, ratio=ratio, **named(ours, "ours"), **named(pairs, "pairs"))

    total, stages = full_step(options.repeats)
    report("full step, 8 views x 50k x 224x224", "(RGB+ED, SH 3, MSE, Adam)", None, ms=total)
    for stage, milliseconds in stages.items():
        report(f"  {stage}", "", None, ms=milliseconds)

    with tempfile.TemporaryDirectory() as cache:
        cold, warm = start_up(cache), start_up(cache)
    report("cold start (compile everything)", "<= 30 s", cold <= 30, seconds=cold)
    report("warm start (kernels from disk)", "<= 2 s", warm <= 2, seconds=warm)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(options.threads), "rows": rows}, indent=1))


def surface(count: int, views: int, size: int) -> dict:
    """Splats on a sphere, 0.01 to 0.03 of its radius, opacity 0.1 to 0.95, that fills most of the picture."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    angles = torch.arange(views) * (2 * torch.pi / views)
    viewmats = torch.eye(4).repeat(views, 1, 1)
    viewmats[:, 0, 0], viewmats[:, 0, 2] = angles.cos(), angles.sin()
    viewmats[:, 2, 0], viewmats[:, 2, 2], viewmats[:, 2, 3] = -angles.sin(), angles.cos(), 3.0
    K = torch.tensor([[1.2 * size, 0, size / 2], [0, 1.2 * size, size / 2], [0, 0, 1]])
    return {
        "means": directions * (1 + 0.05 * torch.randn(count, 1, generator=generator)),
        "quats": torch.randn(count, 4, generator=generator),
        "scales": 0.01 + 0.02 * torch.rand(count, 3, generator=generator),
        "opacities": 0.1 + 0.85 * torch.rand(count, generator=generator),
        "colors": 0.2 * torch.randn(count, 16, 3, generator=generator),
        "viewmats": viewmats,
        "Ks": K.repeat(views, 1, 1),
        "width": size,
        "height": size,
    }


def projected(scene: dict) -> dict:
    """One view's 2D splats, with four channels."""
    with torch.no_grad():
        _, _, info = rasterize(**scene, sh_degree=3)
    splats = {name: info[name] for name in ("radii", "means2d", "depths", "conics")}
    return {
        **splats,
        "opacities": scene["opacities"],
        "colors": torch.rand(len(scene["means"]), 4),
        "size": scene["width"],
    }


def leaves_of(splats: dict, names: tuple[str, ...] = ("means2d", "conics", "opacities", "colors")) -> dict:
    return {**splats, **{name: splats[name].clone().requires_grad_() for name in names}}


def ours_from(splats: dict) -> Steps:
    splats = leaves_of(splats)
    size, nothing, colors = splats["size"], torch.empty(0, 0), splats["colors"][None]
    geometry = [splats[name] for name in ("means2d", "conics", "opacities")]
    order = sort_and_bin(
        splats["radii"], splats["depths"], splats["means2d"], splats["conics"], splats["opacities"], nothing, colors,
        None, size, size,
    )  # fmt: skip
    background = torch.zeros(1, 4)
    leaves = [*geometry, splats["colors"]]
    return lambda: Blend.apply(*geometry, nothing, colors, None, background, order, False, False)[0], leaves


def dense_from(splats: dict) -> Steps:
    splats = leaves_of(splats)
    one = [splats[name][0] for name in ("radii", "means2d", "depths", "conics")]
    size = splats["size"]
    leaves = [splats[name] for name in ("means2d", "conics", "opacities", "colors")]
    return lambda: blend_dense(*one, splats["opacities"], splats["colors"], size, size)[0], leaves


def pairs_from(splats: dict) -> Steps:
    splats = leaves_of(splats)
    size = splats["size"]
    order = sort_and_bin(
        splats["radii"], splats["depths"], splats["means2d"], splats["conics"], splats["opacities"],
        torch.empty(0, 0), splats["colors"][None], None, size, size,
    )  # fmt: skip
    gaussian_of_slot = np.empty(len(order.band_ends), np.int64)
    slots = order.slot_of_gaussian[0]
    gaussian_of_slot[slots[slots >= 0] & 0x3FFFFFF] = np.flatnonzero(slots >= 0)
    lists = torch.from_numpy(gaussian_of_slot[order.bins])
    starts = torch.from_numpy(order.bin_start)
    arguments = [splats["means2d"][0], splats["conics"][0], splats["opacities"], splats["colors"]]
    leaves = [splats[name] for name in ("means2d", "conics", "opacities", "colors")]
    return lambda: blend_pairs(*arguments, lists, starts, size, order.tiles_x), leaves


def blend_pairs(means2d, conics, opacities, colors, lists, starts, size, tiles_x) -> torch.Tensor:
    """gsplat 1.4.0 `_torch_impl.accumulate`, line by line; stand-ins for its two CUDA-only functions are marked."""
    gaussian_ids, pixel_ids = list_pairs(means2d, conics, opacities, lists, starts, size, tiles_x)
    pixels = torch.stack([pixel_ids % size, pixel_ids // size], -1) + 0.5
    deltas = pixels - means2d[gaussian_ids]
    c = conics[gaussian_ids]
    sigmas = 0.5 * (c[:, 0] * deltas[:, 0] ** 2 + c[:, 2] * deltas[:, 1] ** 2) + c[:, 1] * deltas[:, 0] * deltas[:, 1]
    alphas = torch.clamp_max(opacities[gaussian_ids] * torch.exp(-sigmas), 0.999)
    # stands in for nerfacc.render_weight_from_alpha: a running product per pixel, as a running sum of logs
    logs = torch.log1p(-alphas.double())
    sums = torch.cumsum(logs, 0) - logs
    starts_of_pixels = torch.searchsorted(pixel_ids, pixel_ids)
    weights = alphas * torch.exp(sums - sums[starts_of_pixels]).float()
    # stands in for nerfacc.accumulate_along_rays
    image = torch.zeros(size * size, colors.shape[1])
    return image.index_add(0, pixel_ids, weights[:, None] * colors[gaussian_ids]).view(size, size, -1)


@torch.no_grad()
def list_pairs(means2d, conics, opacities, lists, starts, size, tiles_x) -> tuple[torch.Tensor, torch.Tensor]:
    """Stands in for gsplat's `rasterize_to_indices_in_range`: pairs that are drawn, by pixel, front to back."""
    gaussians, pixels = [], []
    for tile in range(len(starts) - 1):
        ids = lists[starts[tile] : starts[tile + 1]]
        x, y = tile % tiles_x * 16, tile // tiles_x * 16
        columns, lines = torch.arange(x, min(x + 16, size)), torch.arange(y, min(y + 16, size))
        dx = means2d[ids, 0] - (columns[:, None] + 0.5)
        dy = means2d[ids, 1] - (lines[:, None, None] + 0.5)
        a, b, c = conics[ids].unbind(-1)
        alpha = (opacities[ids] * torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)).clamp_max(0.999)
        alpha = torch.where(alpha >= 1 / 255, alpha, 0)
        drawn = (alpha > 0) & (torch.cumprod(1 - alpha, -1) > 1e-4)
        line, column, place = drawn.nonzero(as_tuple=True)
        gaussians.append(ids[place])
        pixels.append(lines[line] * size + columns[column])
    order = torch.argsort(torch.cat(pixels), stable=True)
    return torch.cat(gaussians)[order], torch.cat(pixels)[order]


def check_same_picture(splats: dict) -> None:
    """A baseline that renders something else proves nothing; single pixels may differ at a threshold."""
    with torch.no_grad():
        image = ours_from(splats)[0]()[0]
        for other in (dense_from, pairs_from):
            assert (image - other(splats)[0]()).abs().mean() < 1e-5, other.__name__


def best(steps: Steps, repeats: int) -> tuple[float, float]:
    """CPU ms of the forward and of the backward pass, after one unmeasured round."""
    forward, leaves = steps
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        image = forward()
        middle = time.process_time()
        torch.autograd.grad(image, leaves, torch.ones_like(image))
        times.append((1e3 * (middle - start), 1e3 * (time.process_time() - middle)))
    return tuple(min(column) for column in zip(*times[1:], strict=True))


def named(pair: tuple[float, float], name: str) -> dict[str, float]:
    return {f"{name}_forward_ms": pair[0], f"{name}_backward_ms": pair[1]}


def full_step(repeats: int) -> tuple[float, dict[str, float]]:
    """A training step on everything, and its parts."""
    scene = surface(50_000, views=8, size=224)
    names = ("means", "quats", "scales", "opacities", "colors")
    for name in names:
        scene[name].requires_grad_()
    optimizer = torch.optim.Adam([scene[name] for name in names], lr=1e-8)
    target, background = torch.rand(8, 224, 224, 4), torch.ones(8, 3)
    stages: dict[str, list[float]] = {}
    run = cpu_jobs.run

    def measured(kernel, *arguments) -> None:
        start = time.process_time()
        run(kernel, *arguments)
        stages.setdefault(kernel.__name__, []).append(1e3 * (time.process_time() - start))

    cpu_jobs.run = measured
    times = []
    for _ in range(2 * repeats + 1):
        start = time.process_time()
        image, _, _ = rasterize(**scene, sh_degree=3, render_mode="RGB+ED", backgrounds=background)
        (image - target).square().mean().backward()
        stepping = time.process_time()
        optimizer.step()
        optimizer.zero_grad()
        stages.setdefault("Adam", []).append(1e3 * (time.process_time() - stepping))
        times.append(1e3 * (time.process_time() - start))
    cpu_jobs.run = run
    parts = {name: min(values) for name, values in stages.items()}
    total = min(times)
    return total, {**parts, "loss, autograd, buffers": total - sum(parts.values())}


def start_up(cache: str) -> float:
    """Seconds of CPU from `import` (torch is there already) to the first gradients, in a fresh process."""
    program = (
        "import time, torch; from splat_scenes import ball, require_grad; start = time.process_time()\n"
        "from fasttext2style.scene.rasterize import rasterize\n"
        "image, _, _ = rasterize(**require_grad(ball(count=100)), sh_degree=3, render_mode='RGB+ED')\n"
        "image.sum().backward(); print(time.process_time() - start)"
    )
    paths = os.pathsep.join(sys.path[:2])
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": paths}
    return float(
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout
    )


def machine(threads: int) -> dict[str, str | int]:
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor)
    return {
        "processor": processor,
        "cores": os.cpu_count() or 1,
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
        "system": platform.platform(),
    }


if __name__ == "__main__":
    main()
