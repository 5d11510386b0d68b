"""After the last step: before and after from held-out views, a video, the styled .ply, and a report in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor

from fasttext2style.evaluation.report import (
    contact_sheet,
    to_uint8,
    write_pictures,
    write_png,
    write_report,
    write_video,
)
from fasttext2style.evaluation.timing import peak_memory_gib
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.ply import write_ply
from fasttext2style.scene.rasterize import render, render_values

if TYPE_CHECKING:
    from fasttext2style.plugin.style_pipeline import StylePipeline

_FRAMES_PER_SECOND = 24


@torch.no_grad()
def write_results(pipeline: StylePipeline, trainer: Any) -> Path:
    """Write `results/` into the run's folder and print where it is."""
    folder = pipeline.folder / "results"
    edit, watch = pipeline.edit, pipeline.watch
    before, after = edit.scene, edit.merged()
    with watch.phase("results"):
        held_out = pipeline.datamanager.cameras("eval")
        prompt = pipeline.config.model.prompt or ""
        pictures = write_looks(folder, prompt, before, after, held_out)
        if pipeline.config.video_seconds > 0:
            path = camera_path(pipeline.datamanager.cameras("train"), pipeline.config.video_seconds)
            write_film(folder, before, after, path)
        similarity = {
            "before": float(pipeline.styler.similarity(edit.original).mean()),
            "after": float(pipeline.styler.similarity(edit.gaussians(()).detach()).mean()),
        }
    untouched = _untouched_pixels(edit.merged_weights(), after, held_out)
    if not edit.has_grown:
        untouched &= _untouched_pixels(edit.merged_weights(), before, held_out)
    difference = (pictures[0] - pictures[1]).abs().amax(dim=-1)
    report = {
        "prompt": prompt,
        "encoder": pipeline.styler.encoder.name,
        "object": pipeline.selection_origin,
        "device": str(pipeline.device),
        "seed": {"style": pipeline.config.seed, "machine": trainer.config.machine.seed},
        "steps": pipeline.steps,
        "seconds": {name: round(seconds, 3) for name, seconds in watch.seconds.items()},
        "peak_memory_gib": peak_memory_gib(),
        "similarity": similarity,
        "negatives": list(pipeline.styler.objective.negatives),
        "gaussians": {"scene_before": len(before), "scene_after": len(after), "object": len(edit)},
        "outside": {
            "largest_parameter_change": edit.outside_drift(after),
            "largest_pixel_change": float(difference[untouched].max()) if bool(untouched.any()) else 0.0,
            "share_of_pixels": float(untouched.float().mean()),
        },
    }
    write_report(folder / "report.json", report)
    config = trainer.config.get_base_dir() / "config.yml"
    CONSOLE.print(
        f"\nSimilarity to [bold]{prompt}[/bold]: {similarity['before']:.3f} -> {similarity['after']:.3f}. "
        f"Outside the object the largest change is {report['outside']['largest_parameter_change']:g}.\n"
        f"Pictures, video, styled.ply, report: {folder}\nLook around:  ns-viewer --load-config {config}",
        soft_wrap=True,
    )
    return folder


def write_looks(folder: Path, title: str, before: Gaussians, after: Gaussians, cameras: Cameras) -> list[Tensor]:
    """Pictures before and after, a sheet of them, and the scene as styled.ply; returns the two [views, h, w, 3]."""
    pictures = [_render_views(scene, cameras) for scene in (before, after)]
    write_pictures(folder / "before", pictures[0])
    write_pictures(folder / "after", pictures[1])
    write_png(folder / "contact_sheet.png", contact_sheet(*pictures, title=title))
    write_ply(folder / "styled.ply", after)
    return pictures


def write_film(folder: Path, before: Gaussians, after: Gaussians, path: Cameras) -> None:
    """before_after.mp4: both side by side, along a path."""
    frames = [to_uint8(_render_views(scene, path)) for scene in (before, after)]
    write_video(folder / "before_after.mp4", np.concatenate(frames, axis=2), _FRAMES_PER_SECOND)


def _render_views(gaussians: Gaussians, cameras: Cameras, chunk: int = 4) -> Tensor:
    parts = [render(gaussians, cameras[start : start + chunk])[0] for start in range(0, len(cameras), chunk)]
    return torch.cat([part.clamp(0, 1) for part in parts])


def camera_path(cameras: Cameras, seconds: float) -> Cameras:
    """A smooth path through eight of the capture's views, at most 512 pixels wide."""
    keys = np.unique(np.linspace(0, len(cameras) - 1, min(8, len(cameras))).round().astype(int)).tolist()
    path = cameras[keys].interpolate(max(2, int(seconds * _FRAMES_PER_SECOND)))
    scale = min(1.0, 512 / max(path.width, path.height))
    return path.resized(int(path.width * scale), int(path.height * scale))


def _untouched_pixels(weights: Tensor, gaussians: Gaussians, cameras: Cameras) -> Tensor:
    """[views, height, width]: pixels to which no Gaussian of the object contributes."""
    is_object = (weights > 0).float()[:, None]
    parts = [render_values(gaussians, cameras[view], is_object)[0] for view in range(len(cameras))]
    return torch.cat(parts)[..., 0] == 0
