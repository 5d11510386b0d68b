"""A video once around the object of a run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from fasttext2style.evaluation.report import to_uint8, write_video
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.plugin.export import part_of
from fasttext2style.plugin.model import SceneModel
from fasttext2style.plugin.run_history import open_run_with_history
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render


@torch.no_grad()
def write_turntable(
    run_path: Path,
    output: Path | None,
    before: bool = False,
    alone: bool = False,
    seconds: float = 6.0,
    size: int = 512,
    frames_per_second: int = 24,
) -> Path:
    """Write the video and return where it is; see `ft2s turntable --help`.

    Raises:
        ValueError: no such run, no edit to show the scene before, or the disk is full.
    """
    run, history, state = open_run_with_history(run_path)
    sides = [(state.gaussians(), state.selection)]
    if before:
        sides.insert(0, scene_before(run.model, history, state))
    # Both sides are seen by the same cameras: those of the object as it is now.
    target = part_of(*sides[-1], "selection", threshold=0.5)
    if alone:
        sides = [(part_of(*side, "selection", threshold=0.5), side[1]) for side in sides]
    cameras = orbit(target, run.cameras("train"), max(2, round(seconds * frames_per_second)), size, size)
    background = run.model.background_color.to(cameras.device)
    frames = []
    for view in range(len(cameras)):
        renders = (render(gaussians, cameras[view])[:2] for gaussians, _ in sides)
        pictures = [to_uint8((image + (1 - alpha) * background)[0]) for image, alpha in renders]
        frames.append(np.concatenate(pictures, axis=1))
    output = output or run.folder / "exports" / "turntable.mp4"
    try:
        write_video(output, np.stack(frames), frames_per_second)
    except OSError as error:
        raise ValueError(f"{output} could not be written ({error})") from error
    return output


def scene_before(model: SceneModel, history: History, state: SceneState) -> tuple[Gaussians, torch.Tensor]:
    """Scene and selection before the first edit in force (or, of a run without history, before its edit).

    Raises:
        ValueError: there was none.
    """
    edits = [step.id for step in history.applied if history.step(step.id).kind == "edit"]
    if edits:
        earlier = history.before(state, edits[0])
        return earlier.gaussians(), earlier.selection
    raise ValueError("There is no edit in this run's history, so no scene before it: leave --before out")


def orbit(target: Gaussians, cameras: Cameras, views: int, width: int, height: int) -> Cameras:
    """Once around an object, from as far and as high as the capture's own cameras stand: there the scene is known.

    World z is up, as nerfstudio lays scenes. The field of view takes in what lies within the 95th percentile of the
    distances from the object's middle.

    Raises:
        ValueError: the capture's cameras stand in the middle of the object.
    """
    weights = target.opacities[:, None]
    center = (target.means * weights).sum(dim=0) / weights.sum()
    distances = (target.means - center).norm(dim=1).sort().values
    extent = float(distances[int(0.95 * (len(distances) - 1))])
    offsets = cameras.centers.to(center) - center
    distance = float(offsets.norm(dim=1).median())
    if distance <= 0:
        raise ValueError("The capture's cameras stand in the middle of the object, so there is no way around it")
    elevations = torch.rad2deg(torch.asin(offsets[:, 2] / offsets.norm(dim=1)))
    # Neither from straight above, where upright means nothing, nor from under the floor.
    elevation = float(elevations.median().clamp(0, 60))
    fov = 2 * math.degrees(math.asin(min(1.25 * extent / distance, math.sin(math.radians(40)))))
    return Cameras.orbit(center.cpu(), distance, views, width, height, max(fov, 5.0), elevation).to(cameras.device)
