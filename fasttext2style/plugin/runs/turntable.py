"""A video once around the object of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fasttext2style.evaluation.orbit import orbit
from fasttext2style.evaluation.report import to_uint8, write_video
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.files.export import part_of
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
    target = part_of(*sides[-1], "selection")
    if alone:
        sides = [(part_of(*side, "selection"), side[1]) for side in sides]
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
