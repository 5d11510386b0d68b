"""A video once around the object of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fasttext2style.envmaps.around import environment_of
from fasttext2style.evaluation.orbit import orbit
from fasttext2style.evaluation.report import write_video
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.live.film import Side, around_object, edited_object, frame
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.files.export import part_of


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
    parts = [(scene.gaussians(), edited_object(history, scene)) for scene in scenes]
    # Both sides are seen by the same cameras: those of the object as it is now.
    target, rest = around_object(*parts[-1])
    color = run.model.background_color
    # Before all edits nothing surrounded the scene.
    panoramas = [None, environment_of(history, color)][-len(parts) :]
    sides = [Side(gaussians, panorama) for (gaussians, _), panorama in zip(parts, panoramas)]
    if alone:
        sides = [Side(part_of(*part, "selection"), None) for part in parts]
    views = max(2, round(seconds * frames_per_second))
    cameras = orbit(target, run.cameras("train"), views, size, size, None if alone else rest)
    frames = [frame(sides, cameras[view], color) for view in range(len(cameras))]
    output = output or run.folder / "exports" / "turntable.mp4"
    try:
        write_video(output, np.stack(frames), frames_per_second)
    except OSError as error:
        raise ValueError(f"{output} could not be written ({error})") from error
    return output


def scene_before(history: History, state: SceneState) -> SceneState:
    """The scene before the first edit in force.

    Raises:
        ValueError: there was none.
    """
    edits = history.edits
    if not edits:
        raise ValueError("There is no edit in this run's history, so no scene before it: leave --before out")
    return history.before(state, edits[0].id)
