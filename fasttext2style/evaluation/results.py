"""After the last step: before and after from held-out views, a film, the styled .ply, and a report in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from fasttext2style.evaluation.halo import halo_warning, outside_picture, pixels_outside
from fasttext2style.evaluation.image_metrics import mean_psnr
from fasttext2style.evaluation.locality import Drift, LoadedFile, drift_by_weights, outside_drift, outside_report
from fasttext2style.evaluation.looks import Behind, object_coverage, write_film, write_looks
from fasttext2style.evaluation.outside import tell_verdict
from fasttext2style.evaluation.report import write_png, write_report
from fasttext2style.evaluation.timing import Stopwatch, costs
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.terminal.console import say, warn
from fasttext2style.trust.text import one_line


@dataclass(frozen=True)
class HeldOut:
    """Views of the capture that nothing was trained on."""

    cameras: Cameras
    photographs: UInt8[Tensor, "views height width 3"]
    masks: Float[Tensor, "views height width"]
    """Where training would look at them."""


@dataclass(frozen=True)
class Outcome:
    """An edit that is done and saved, whatever method made it: all that its results are written from."""

    folder: Path
    """Of the run; results/ is made in it."""
    prompt: str
    loaded: LoadedFile
    """What the scene was loaded from."""
    checkpoint: Path
    """What it was saved to."""
    before: Gaussians
    after: Gaussians
    object_rows: Int[Tensor, " object_before"]
    """Which Gaussians of the scene before are the object."""
    weights: Float[Tensor, " gaussians_after"]
    """Of the object in the scene after."""
    held_out: HeldOut
    film: Cameras | None
    """The path of before_after.mp4; None makes none."""
    watch: Stopwatch
    facts: dict[str, Any]
    """What else is known about the run, for the report."""
    not_reconstructed: str = ""
    """Why the run has no time of a reconstruction; empty if it has."""
    as_loaded: dict[str, Path] = field(default_factory=dict)
    """Files of the run that hold the whole scene as it was before the edit."""
    behind: Behind | None = None
    """What is seen around the scene, in pictures and film; nothing is measured on it."""


def write_results(outcome: Outcome, headline: str = "", again: str = "") -> dict[str, Any]:
    """Write `results/` into the run's folder, say what came of it and where it is; returns the report.

    Args:
        again: the command that writes them later.

    Raises:
        ValueError: the disk is full.
    """
    try:
        report = _write_results(outcome)
    except OSError as error:
        run = quote(str(outcome.folder))
        again = again or f"ft2s evaluate {run}, ft2s turntable {run} --before and ft2s export {run}"
        raise ValueError(
            f"{outcome.folder / 'results'} could not be written whole ({error}). The scene itself is saved, in "
            f"{outcome.checkpoint}. Free some disk space; what is missing is made by  {again}"
        ) from error
    _tell(outcome, report, headline)
    return report


@torch.no_grad()
def _write_results(outcome: Outcome) -> dict[str, Any]:
    folder, watch = outcome.folder / "results", outcome.watch
    with watch.phase("results"):
        scenes, behind = (outcome.before, outcome.after), outcome.behind
        pictures = write_looks(folder, outcome.prompt, *scenes, outcome.held_out.cameras, behind)
        if outcome.film is not None:
            write_film(folder, *scenes, outcome.film, behind)
        report = outcome.facts | {
            "gaussians": {
                "scene_before": len(outcome.before),
                "scene_after": len(outcome.after),
                "object": int((outcome.weights > 0).sum()),
            },
            "reconstruction": _reconstruction(outcome, pictures[0]),
            "outside": _outside(outcome, pictures),
        }
    report |= costs(watch)
    write_report(folder / "report.json", report)
    return report


def _reconstruction(outcome: Outcome, pictures: Tensor) -> dict[str, Any]:
    """How well the scene that was edited shows the capture, and how long it took to make."""
    held_out = outcome.held_out
    psnr = mean_psnr(pictures, held_out.photographs / 255, held_out.masks)
    seconds = outcome.watch.seconds.get("reconstruction")
    return {
        "held_out_psnr": psnr,
        "held_out_views": len(pictures),
        "seconds": None if seconds is None else round(seconds, 3),
    } | ({"not_reconstructed": outcome.not_reconstructed} if outcome.not_reconstructed else {})


def _outside(outcome: Outcome, pictures: list[Tensor]) -> dict[str, Any]:
    """What changed outside the object: in the files, where no Gaussian of it reaches, and outside its mask."""
    folder, cameras = outcome.folder / "results", outcome.held_out.cameras
    was_object = torch.zeros(len(outcome.before), device=outcome.before.device)
    was_object[outcome.object_rows] = 1
    coverage = object_coverage(outcome.before, was_object, cameras)
    untouched = (coverage == 0) & (object_coverage(outcome.after, outcome.weights, cameras) == 0)
    change = (pictures[0] - pictures[1]).abs().amax(dim=-1)[untouched]
    pixels = pixels_outside(pictures[0], pictures[1], coverage)
    write_png(folder / "outside.png", outside_picture(pictures[0], pictures[1], coverage))
    parameters = outside_report(outcome.loaded, lambda loaded: _drifts(outcome, loaded))
    return parameters | {
        "largest_pixel_change": float(change.max()) if len(change) else 0.0,
        "share_of_pixels": float(untouched.float().mean()),
        "outside_mask": pixels,
    }


def _drifts(outcome: Outcome, loaded: SceneOnDisk) -> dict[str, Drift]:
    """What changed outside the object in each file that the run leaves behind."""
    saved = {"checkpoint": outcome.checkpoint, "styled.ply": outcome.folder / "results" / "styled.ply"}
    copies = {name: SceneOnDisk(path) for name, path in outcome.as_loaded.items()}
    drifts = {
        name: outside_drift(loaded, copy, torch.arange(len(loaded)), torch.arange(len(copy)))
        for name, copy in copies.items()
    }
    return drift_by_weights(loaded, outcome.object_rows, saved, weighted=outcome.checkpoint) | drifts


def _tell(outcome: Outcome, report: dict[str, Any], headline: str) -> None:
    folder = outcome.folder / "results"
    if headline:
        say(f"\n{one_line(headline)}")
    tell_verdict(report["outside"])
    warning = halo_warning(report["outside"]["outside_mask"], str(folder / "outside.png"))
    if warning:
        warn(warning)
    say(
        f"Pictures, film, styled.ply, report: {folder}\nLook around:  ns-viewer --load-config "
        f"{quote(str(outcome.folder / 'config.yml'))}"
    )
