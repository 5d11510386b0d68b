"""A video once around an object, in its scene: of a session, and of a run on disk (`ft2s turntable`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fasttext2style.envmaps.around import environment_of, seen_behind
from fasttext2style.evaluation.orbit import orbit
from fasttext2style.evaluation.report import to_uint8, write_video
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.live.jobs import HandOver, file_name, free_path, kept_here
from fasttext2style.live.objects import HIDES_FAR
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.export import OBJECT_THRESHOLD, part_of
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render

FRAMES_PER_SECOND = 24
_SECONDS, _SIZE = 6.0, 512
"""Length, and side of the pictures in pixels."""


class Side(NamedTuple):
    """A scene in a video."""

    gaussians: Gaussians
    around: Float[Tensor, "height width 3"] | None
    """The panorama around it."""


@dataclass(frozen=True)
class Film:
    """Write a video once around the selected object, or around what was edited last."""

    name: str = ""
    """Of the file, without ending; empty: turntable."""
    hand_over: HandOver = field(default=kept_here, compare=False)
    seconds: float = _SECONDS
    size: int = _SIZE
    title: str = "Video"
    once: bool = True

    def run(self, scene: LiveScene, progress: Progress) -> str:
        path = free_path(scene.folder / "exports", file_name(self.name) or "turntable", "mp4")
        weights = scene.state.selection
        if scene.selection.count == 0:
            weights = edited_object(scene.history, scene.state)
        if not bool((weights > OBJECT_THRESHOLD).any()):
            raise ValueError("Nothing is selected yet. Click on the object that the video goes around.")
        frames = max(2, round(self.seconds * FRAMES_PER_SECOND))
        target, rest = around_object(scene.gaussians, weights)
        cameras = orbit(target, scene.cameras, frames, self.size, self.size, rest)
        color = scene.host.background_color
        sides = [Side(scene.gaussians, environment_of(scene.history, color))]
        pictures = []
        progress.report(0, frames, "picture")
        for number in range(frames):
            if progress.stopping:
                return "Stopped: no video was written."
            pictures.append(frame(sides, cameras[number], color))
            progress.report(number + 1, frames, "picture")
        write_video(path, np.stack(pictures), FRAMES_PER_SECOND)
        return f"Video: {self.hand_over(path)}"


def around_object(gaussians: Gaussians, weights: Tensor) -> tuple[Gaussians, Gaussians]:
    """The object, and what stands around it.

    Raises:
        ValueError: there is no object.
    """
    return part_of(gaussians, weights, "selection"), gaussians.subset(weights <= OBJECT_THRESHOLD)


@torch.no_grad()
def frame(sides: Sequence[Side], camera: Cameras, color: Float[Tensor, "3"]) -> UInt8[np.ndarray, "height width 3"]:
    """Scenes beside each other, as one camera sees them; `color` is behind those that nothing surrounds."""
    pictures = []
    for gaussians, panorama in sides:
        image, alpha, _ = render(gaussians, camera)
        around = color if panorama is None else seen_behind(panorama, camera)
        pictures.append(to_uint8((image + (1 - alpha) * around.to(image))[0]))
    return np.concatenate(pictures, axis=1)


def edited_object(history: History, state: SceneState) -> Float[Tensor, " gaussians"]:
    """1 for what the last edit in force changed, whatever is selected now; else the selection."""
    for edit in reversed(history.edits):
        if edit.settings.get(HIDES_FAR):  # no object
            continue
        footprint = history.footprint(edit.id)
        changed = torch.isin(state.ids, torch.cat([footprint.changed_ids, footprint.exchanged_ids]).to(state.ids))
        if bool(changed.any()):
            return changed.float()
    return state.selection
