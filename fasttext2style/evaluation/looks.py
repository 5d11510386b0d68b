"""What a scene looks like before and after an edit: pictures, a sheet of them, a film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fasttext2style.evaluation.report import to_uint8, write_before_after, write_video
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.ply import write_ply
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render, render_values, views_at_once

_FRAMES_PER_SECOND = 24


Behind = Callable[[Cameras], Tensor]
"""What is seen where a scene leaves something free: [views, height, width, 3] of some cameras."""


def write_looks(
    folder: Path, title: str, before: Gaussians, after: Gaussians, cameras: Cameras, behind: Behind | None = None
) -> list[Tensor]:
    """Pictures before and after, a sheet of them, and the scene as styled.ply; returns the two [views, h, w, 3].

    Those on disk have `behind` behind the scene; those returned, which are to be measured, have black: photographs
    never saw it.
    """
    pictures = [render_views(scene, cameras) for scene in (before, after)]
    shown = pictures if behind is None else [render_views(scene, cameras, behind) for scene in (before, after)]
    write_before_after(folder, title, *shown)
    write_ply(folder / "styled.ply", after)
    return pictures


def write_film(folder: Path, before: Gaussians, after: Gaussians, path: Cameras, behind: Behind | None = None) -> None:
    """before_after.mp4: both side by side, along a path."""
    frames = [to_uint8(render_views(scene, path, behind)) for scene in (before, after)]
    write_video(folder / "before_after.mp4", np.concatenate(frames, axis=2), _FRAMES_PER_SECOND)


@torch.no_grad()
def render_views(gaussians: Gaussians, cameras: Cameras, behind: Behind | None = None, chunk: int = 4) -> Tensor:
    """[views, height, width, 3] on the CPU: those of hundreds of large views do not fit beside a scene on a GPU."""
    chunk, parts = views_at_once(gaussians, chunk), []
    for start in range(0, len(cameras), chunk):
        some = cameras[start : start + chunk]
        images, alphas, _ = render(gaussians, some)
        if behind is not None:
            images = images + (1 - alphas) * behind(some).to(images)
        parts.append(images.clamp(0, 1).cpu())
    return torch.cat(parts)


def camera_path(cameras: Cameras, seconds: float) -> Cameras:
    """A smooth path through eight of the capture's views, at most 512 pixels wide."""
    return cameras.evenly(8).interpolate(max(2, int(seconds * _FRAMES_PER_SECOND))).shrunk(512)


def object_coverage(gaussians: Gaussians, weights: Tensor, cameras: Cameras) -> Tensor:
    """[views, height, width], on the CPU: how much of each pixel's colour comes from the object, the Gaussians with a
    weight."""
    is_object = (weights > 0).float()[:, None]
    parts = [render_values(gaussians, cameras[view], is_object)[0][..., 0].cpu() for view in range(len(cameras))]
    return torch.cat(parts)
