"""A slider of Colors in a live session: how long after it moved the scene has its new colours, and is seen so.

    python examples/benchmarks/grade_sliders.py
    python examples/benchmarks/grade_sliders.py --gaussians 1000000

All Gaussians of a ball on a floor are selected, once wholly and once with soft weights. Each slider goes through
--positions, as the panel asks for them; a picture of 256x256 is rendered after each. The bar, on 2 idle cores: of
200,000 Gaussians the scene has its new colours within 0.1 s. Beside the clock stands the CPU's time, for machines that
have something else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from live_session import ball_on_floor, name_of
from nerfstudio.data.scene_box import SceneBox

from fasttext2style.evaluation.report import versions
from fasttext2style.history.history import History
from fasttext2style.live.grade import ApplyGrade
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.session import LiveSession
from fasttext2style.plugin.host.model import SceneModelConfig
from fasttext2style.plugin.viewer.model_host import ModelHost
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.grade_settings import Grade

SLIDERS = {
    "brightness": lambda share: Grade(brightness=0.5 + share),
    "hue": lambda share: Grade(hue_degrees=10 + 90 * share),
    "opacity": lambda share: Grade(opacity=0.2 + 0.7 * share),
    "tint, painted": lambda share: Grade(evenness=1.0, tint=0.1 + 0.9 * share),
    "all of them": lambda share: Grade(0.5, 0.3, 0.9, 1.1, 1.2, 20 + share, 0.5, opacity=0.8),
}
"""Name -> the grade at a share of the way."""


@dataclass(frozen=True)
class SelectAll:
    """Everything, wholly or by soft weights."""

    soft: bool
    title: str = "Select"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        count = len(scene.gaussians)
        weights = torch.linspace(0.05, 0.95, count) if self.soft else torch.ones(count)
        return scene.select(Selection(weights, "all"), "soft" if self.soft else "all")


def moved(session: LiveSession, slider: str, positions: int, view: Cameras) -> dict[str, float]:
    """What a slider takes that goes all its way."""
    clock, cpu, seen = [], [], []
    for number in range(positions + 1):
        began, began_cpu = time.perf_counter(), time.process_time()
        assert session.do(ApplyGrade(SLIDERS[slider](number / positions))), session.status.message
        clock.append(time.perf_counter() - began)
        cpu.append(time.process_time() - began_cpu)
        with torch.no_grad():
            render(session.scene.gaussians, view)
        seen.append(time.perf_counter() - began)
    session.scene.settle()
    return {
        "first_seconds": clock[0],
        "median_seconds": statistics.median(clock[1:]),
        "worst_seconds": max(clock[1:]),
        "median_cpu_seconds": statistics.median(cpu[1:]),
        "median_seconds_until_seen": statistics.median(seen[1:]),
    }


def measure(count: int, positions: int, folder: Path, device: str) -> dict[str, dict[str, float]]:
    """All sliders, on what is selected wholly, and softly."""
    box = SceneBox(torch.tensor([[-1.0] * 3, [1.0] * 3]))
    config = SceneModelConfig(num_random=16, background_color="black")
    model = config.setup(scene_box=box, num_train_data=24, metadata={}, device=device).eval().to(device)
    model.load_state_dict(ball_on_floor(count, 0.5).to_splatfacto())
    cameras = Cameras.orbit((0.0, 0.0, 0.0), 2.2, 24, 256, 256).to(model.device)
    session = LiveSession(LiveScene(ModelHost(model, lambda: folder), cameras, History.open(folder), folder))
    found = {}
    for soft in (False, True):
        assert session.do(SelectAll(soft)), session.status.message
        for slider in SLIDERS:
            found[f"{slider}, {'soft' if soft else 'whole'}"] = moved(session, slider, positions, cameras[:1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=200_000)
    parser.add_argument("--positions", type=int, default=10)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=Path("grade_sliders.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.gaussians, options.positions, Path(folder), options.device)
    about = {"gaussians": options.gaussians, "device": name_of(options.device)}
    about |= {"load_average": os.getloadavg()[0], "versions": versions()}
    options.out.write_text(json.dumps(about | {"sliders": figures}, indent=2) + "\n")
    for slider, seconds in figures.items():
        print(f"{slider:22} " + "  ".join(f"{name} {value:.3f}" for name, value in seconds.items()))


if __name__ == "__main__":
    main()
