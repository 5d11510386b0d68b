"""After the last step: before and after from held-out views, a video, the styled .ply, and a report in numbers."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import torch
from nerfstudio.utils.rich_utils import CONSOLE

from fasttext2style.evaluation.looks import camera_path, untouched_pixels, write_film, write_looks
from fasttext2style.evaluation.report import (
    write_report,
)
from fasttext2style.evaluation.timing import peak_memory_gib

if TYPE_CHECKING:
    from fasttext2style.plugin.style.pipeline import StylePipeline


@torch.no_grad()
def write_results(pipeline: StylePipeline, trainer: Any) -> Path:
    """Write `results/` into the run's folder and print where it is."""
    folder = pipeline.folder / "results"
    edit, watch = pipeline.edit, pipeline.watch
    before, after = edit.scene, edit.merged()
    with watch.phase("results"):
        held_out = pipeline.datamanager.cameras("eval")
        prompt = pipeline.config.prompt
        pictures = write_looks(folder, prompt, before, after, held_out)
        if pipeline.config.video_seconds > 0:
            path = camera_path(pipeline.datamanager.cameras("train"), pipeline.config.video_seconds)
            write_film(folder, before, after, path)
        similarity = {
            "before": float(pipeline.styler.similarity(edit.original).mean()),
            "after": float(pipeline.styler.similarity(edit.gaussians(()).detach()).mean()),
        }
    untouched = untouched_pixels(edit.merged_weights(), after, held_out)
    if not edit.has_grown:
        untouched &= untouched_pixels(edit.merged_weights(), before, held_out)
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
        f"Pictures, video, styled.ply, report: {folder}\nLook around:  ns-viewer --load-config {quote(str(config))}",
        soft_wrap=True,
    )
    return folder
