"""A live session on a large scene: memory with ten edits in its history, and how soon one sees something.

    python examples/benchmarks/live_session.py
    python examples/benchmarks/live_session.py --gaussians 200000 --steps 10

A ball on a floor, --share of all Gaussians, is styled by ten sentences in turn, a few steps each, while somebody looks
(256x256, the object outlined, every other picture the output `before`); then all is undone. The bars, on 2 idle cores:
the peak stays under three times the scene's own size; of a million Gaussians the first visible change comes within 5 s,
of 41,000 within 1 s; whoever looks gets two pictures a second, and at 41,000 never waits longer than 0.5 s. Times are
medians of the ten edits, but for the worst wait.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from nerfstudio.cameras.cameras import Cameras as HostCameras
from nerfstudio.data.scene_box import SceneBox

from fasttext2style.evaluation.object_pictures import marked
from fasttext2style.evaluation.report import versions
from fasttext2style.evaluation.timing import peak_host_bytes
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.load import load_encoder
from fasttext2style.history.history import History
from fasttext2style.live import jobs
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.session import LiveSession
from fasttext2style.live.style import PRESETS, ApplyStyle, StyleSettings
from fasttext2style.plugin.host.allocator import keep_what_is_there, share_arenas
from fasttext2style.plugin.host.model import SceneModel, SceneModelConfig
from fasttext2style.plugin.host.rates import maker_of
from fasttext2style.plugin.style.method import fasttext2style
from fasttext2style.plugin.viewer.model_host import ModelHost
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection

SENTENCES = ("gold", "ice", "wood", "red", "blue", "green", "marble", "silver", "yellow", "black")


def ball_on_floor(count: int, share: float) -> Gaussians:
    """The first `share` of the Gaussians are a ball, the others the floor below it."""
    generator = torch.Generator().manual_seed(0)
    ball = int(share * count)
    means = torch.rand(count, 3, generator=generator) * torch.tensor([4.0, 4.0, 0.05]) - torch.tensor([2.0, 2.0, 0.55])
    means[:ball] = 0.5 * torch.nn.functional.normalize(torch.randn(ball, 3, generator=generator), dim=1)
    return Gaussians(
        means=means,
        quats=torch.nn.functional.pad(torch.ones(count, 1), (0, 3)),
        log_scales=torch.full((count, 3), -4.6),
        logit_opacities=torch.full((count,), 1.0),
        sh_dc=0.3 * torch.randn(count, 3, generator=generator),
        sh_rest=torch.zeros(count, 15, 3),
    )


@dataclass(frozen=True)
class SelectRows:
    """The ball."""

    count: int
    title: str = "Select the ball"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        weights = torch.zeros(len(scene.gaussians))
        weights[: self.count] = 1.0
        return scene.select(Selection(weights, "the ball"), "the ball")


class Looker(threading.Thread):
    """Looks all the time, as a browser's tab does: under the session's lock, at 256x256."""

    def __init__(self, scene: LiveScene, model: SceneModel, cameras: Cameras) -> None:
        super().__init__(daemon=True)
        self.scene, self.model, self.cameras = scene, model, cameras
        self.pictures: list[tuple[float, torch.Tensor]] = []
        self.looking, self.count, self.longest_wait = True, 0, 0.0

    def run(self) -> None:
        view = self.cameras[:1]
        camera = HostCameras(
            torch.nn.functional.pad(view.to_opengl(), (0, 0, 0, 1))[:, :3],
            *(view.Ks[0, row, column].item() for row, column in ((0, 0), (1, 1), (0, 2), (1, 2))),
            width=view.width,
            height=view.height,
        )
        while self.looking:
            with self.scene.lock, torch.no_grad():
                outputs = self.model.get_outputs_for_camera(camera)
                name = "before" if self.count % 2 else "rgb"
                picture = outputs[name]
            self.count += 1
            if self.pictures:
                self.longest_wait = max(self.longest_wait, time.perf_counter() - self.pictures[-1][0])
            self.pictures.append((time.perf_counter(), picture if name == "rgb" else picture[:1, :1]))
            time.sleep(0.01)


def first_change(looker: Looker, started: float) -> float:
    """Seconds until the picture had visibly changed: by 4 of 255 levels on average where it changes at all."""
    seen = [(moment, picture) for moment, picture in looker.pictures if picture.shape[0] > 1]
    reference = [picture for moment, picture in seen if moment <= started][-1]
    for moment, picture in seen:
        difference = (picture - reference).abs().amax(dim=-1)
        moved = difference > 1 / 255
        if moment > started and bool(moved.any()) and float(difference[moved].mean()) > 4 / 255:
            return moment - started
    return float("inf")


def ten_edits(
    model: SceneModel, encoder: TextImageEncoder, count: int, share: float, steps: int, folder: Path
) -> dict[str, float]:
    """What somebody saw who looked."""
    cameras = Cameras.orbit((0.0, 0.0, 0.0), 2.2, 24, 256, 256).to(model.device)
    model.load_state_dict(ball_on_floor(count, share).to_splatfacto())
    scene = LiveScene(ModelHost(model, lambda: folder), cameras, History.open(folder), folder)
    session = LiveSession(scene)
    assert session.do(SelectRows(int(share * count))), session.status.message
    looker = Looker(scene, model, cameras)
    looker.start()
    while looker.count < 4:
        time.sleep(0.05)
    settings, PRESETS["quick"] = StyleSettings(encoder, maker_of(fasttext2style.config.optimizers)), steps
    firsts, waits, began, looks = [], [], time.perf_counter(), looker.count
    for sentence in SENTENCES:
        started, looker.longest_wait = time.perf_counter(), 0.0
        assert session.do(ApplyStyle(settings, sentence, preset="quick")), session.status.message
        firsts.append(first_change(looker, started))
        waits.append(looker.longest_wait)
        looker.pictures = looker.pictures[-4:]
    rate = (looker.count - looks) / (time.perf_counter() - began)
    looker.looking = False
    looker.join()
    for _ in SENTENCES:
        assert session.do(jobs.Undo()), session.status.message
    return {
        "first_change_seconds": statistics.median(firsts),
        "pictures_per_second": rate,
        "longest_wait_seconds": statistics.median(waits),
        "worst_wait_seconds": max(waits),
    }


def measure(count: int, share: float, steps: int, folder: Path, device: str) -> dict[str, float]:
    """All figures of one session."""
    share_arenas()
    encoder = load_encoder("tiny", device=device)
    config = SceneModelConfig(num_random=16, background_color="black")
    box = SceneBox(torch.tensor([[-1.0] * 3, [1.0] * 3]))
    model = config.setup(scene_box=box, num_train_data=24, metadata={}, device=device).eval().to(device)
    # As the viewer does: the object is outlined in what is shown.
    model.on_outputs = lambda outputs: outputs.update(rgb=marked(outputs["rgb"], outputs["selection"][..., :1], 0.0))
    # What does not depend on the scene's size (encoder, its activations, kernels) is there before the scene is.
    ten_edits(model, encoder, 2000, 0.5, 1, folder / "small")
    keep_what_is_there()
    without_scene = peak_host_bytes()
    size = sum(value.nbytes for value in ball_on_floor(count, share).to_splatfacto().values())
    seen = ten_edits(model, encoder, count, share, steps, folder / "large")
    return {
        "gaussians": count,
        "object": int(share * count),
        "steps_per_edit": steps,
        "scene_mb": size / 1e6,
        "peak_mb": (peak_host_bytes() - without_scene) / 1e6,
        "peak_in_scenes": (peak_host_bytes() - without_scene) / size,
    } | seen


def name_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=0.1, help="of the scene that is styled")
    parser.add_argument("--steps", type=int, default=6, help="per sentence")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=Path("live_session.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.gaussians, options.share, options.steps, Path(folder), options.device)
    about = {"device": name_of(options.device), "load_average": os.getloadavg()[0], "versions": versions()}
    options.out.write_text(json.dumps(figures | about, indent=2) + "\n")
    print("| " + " | ".join(figures) + " |")
    print("| " + " | ".join(f"{value:,.2f}" if value % 1 else f"{value:,.0f}" for value in figures.values()) + " |")


if __name__ == "__main__":
    main()
