"""A video once around the object of a run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from fasttext2style.envmaps.around import environment_of
from fasttext2style.evaluation.orbit import orbit
from fasttext2style.evaluation.report import write_video
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.history.steps import run_folder
from fasttext2style.live.film import Side, around_object, edited_object, frame
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.files.atomic import check_place
from fasttext2style.scene.files.export import part_of

_LARGEST = 4 * 2**30
"""Bytes of all pictures together: they are held until the video is written."""


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
        ValueError: no such run, no edit to show the scene before, numbers that make no video, or a place where it
            cannot be written.
    """
    output = check_place(run_folder(run_path) / "exports" / "turntable.mp4" if output is None else output)
    if output.suffix.lower() != ".mp4":
        raise ValueError(f"The video is written as .mp4, got --output {output}.")
    views = _frames(seconds, size, frames_per_second, sides=1 + before)
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
    cameras = orbit(target, run.cameras("train"), views, size, size, None if alone else rest)
    frames = [frame(sides, cameras[view], color) for view in range(len(cameras))]
    try:
        write_video(output, np.stack(frames), frames_per_second)
    except OSError as error:
        raise ValueError(f"{output} could not be written ({error})") from error
    return output


def _frames(seconds: float, size: int, frames_per_second: int, sides: int) -> int:
    """How many there are of a video; raises ValueError for numbers that make none, or one that fits no memory."""
    if size < 2:
        raise ValueError(f"--size is the side of the pictures, 2 pixels or more, got {size}.")
    if frames_per_second < 1:
        raise ValueError(f"--frames-per-second is 1 or more, got {frames_per_second}.")
    if not 0 < seconds < math.inf:
        raise ValueError(f"--seconds is the length of the video, more than 0, got {seconds}.")
    frames = max(2, round(seconds * frames_per_second))
    if frames * size * size * 3 * sides > _LARGEST:
        raise ValueError(
            f"{frames:,} pictures of {sides * size:,} x {size:,} pixels are too many for memory (their bytes may be "
            f"{_LARGEST:,}): take smaller ones (--size), fewer a second (--frames-per-second), or a shorter video."
        )
    return frames


def scene_before(history: History, state: SceneState) -> SceneState:
    """The scene before the first edit in force.

    Raises:
        ValueError: there was none.
    """
    edits = history.edits
    if not edits:
        raise ValueError("There is no edit in this run's history, so no scene before it: leave --before out")
    return history.before(state, edits[0].id)
