"""A video once around the object of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fasttext2style.envmaps.around import environment_of, seen_behind
from fasttext2style.evaluation.orbit import orbit
from fasttext2style.evaluation.report import to_uint8, write_video
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.files.export import OBJECT_THRESHOLD, part_of
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
    scenes = [scene_before(history, state), state] if before else [state]
    sides = [(scene.gaussians(), edited_object(history, scene)) for scene in scenes]
    # Both sides are seen by the same cameras: those of the object as it is now.
    scene, weights = sides[-1]
    target, rest = part_of(scene, weights, "selection"), scene.subset(weights <= OBJECT_THRESHOLD)
    if alone:
        sides = [(part_of(*side, "selection"), side[1]) for side in sides]
    color = run.model.background_color
    # Before all edits nothing surrounded the scene.
    panoramas = [None, environment_of(history, color)][-len(sides) :] if not alone else [None] * len(sides)
    views = max(2, round(seconds * frames_per_second))
    cameras = orbit(target, run.cameras("train"), views, size, size, None if alone else rest)
    frames = []
    for view in range(len(cameras)):
        pictures = []
        for (gaussians, _), panorama in zip(sides, panoramas):
            image, alpha, _ = render(gaussians, cameras[view])
            around = color if panorama is None else seen_behind(panorama, cameras[view])
            pictures.append(to_uint8((image + (1 - alpha) * around.to(image))[0]))
        frames.append(np.concatenate(pictures, axis=1))
    output = output or run.folder / "exports" / "turntable.mp4"
    try:
        write_video(output, np.stack(frames), frames_per_second)
    except OSError as error:
        raise ValueError(f"{output} could not be written ({error})") from error
    return output


def edited_object(history: History, state: SceneState) -> torch.Tensor:
    """[gaussians] 1 for what the last edit in force changed, whatever is selected now; else the selection."""
    for edit in reversed(history.edits):
        footprint = history.footprint(edit.id)
        changed = torch.isin(state.ids, torch.cat([footprint.changed_ids, footprint.exchanged_ids]).to(state.ids))
        if bool(changed.any()):
            return changed.float()
    return state.selection


def scene_before(history: History, state: SceneState) -> SceneState:
    """The scene before the first edit in force.

    Raises:
        ValueError: there was none.
    """
    edits = history.edits
    if not edits:
        raise ValueError("There is no edit in this run's history, so no scene before it: leave --before out")
    return history.before(state, edits[0].id)
