"""The books of a round in numbers: what is measured at its end, and what is said before the first one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from fasttext2style.evaluation.halo import OutsidePixels
from fasttext2style.evaluation.report import versions
from fasttext2style.rounds.folder import KeepConfig, Round, RoundsFolder
from fasttext2style.rounds.losses import PerceptualLoss
from fasttext2style.rounds.schedule import Plan
from fasttext2style.rounds.subject import Subject
from fasttext2style.rounds.targets import Targets
from fasttext2style.rounds.views import SceneViews, to_bytes
from fasttext2style.scene.cameras import evenly_spread
from fasttext2style.styling.editable import EditableObject

HIGHEST_PSNR = 100.0
"""In dB; stands for equal pictures, for JSON knows no infinity."""


@dataclass(frozen=True)
class Measured:
    """The end of a round."""

    metrics: dict
    residuals: dict[int, float]
    """View -> mean absolute difference to its edited picture inside the mask."""


@torch.no_grad()
def measure(
    subject: Subject,
    views: SceneViews,
    targets: Targets,
    perceptual: PerceptualLoss | None,
    on_picture: Callable[[int, UInt8[Tensor, "height width 3"]], object] = lambda view, picture: None,
) -> Measured:
    """How near the round's views are to their edited pictures inside the masks, and what changed outside them.

    Pictures are compared as they are kept, in 8 bits; outside against the renders before any edit: outside the masks of
    the edits, which may have a margin, and ("outside_mask") outside the object itself. `on_picture` gets each view and
    how it looks now: all of them together may be gigabytes.
    """
    residuals, inside, outside, perceived, outside_mask = {}, [], [], [], OutsidePixels()
    for view in targets.round_views:
        picture, target = to_bytes(subject.render([view]))[0], targets[view]
        on_picture(view, picture)
        now, original = picture.float() / 255, views.originals[view].float() / 255
        outside_mask.add(original, now, views.original_coverage[view, ..., 0].float() / 255)
        difference = now - target.image.float() / 255
        mask = target.mask.float() / 255
        residuals[view] = float((difference.abs() * mask).sum() / (3 * mask.sum()).clamp_min(1e-8))
        inside.append(float((difference.square() * mask).sum() / (3 * mask.sum()).clamp_min(1e-8)))
        untouched = target.mask[..., 0] == 0
        if bool(untouched.any()):
            drift = now[untouched] - original[untouched]
            outside.append(float(drift.square().mean()))
        if perceptual is not None:
            row = torch.tensor([view])
            crop, wanted = views.crops([picture], row), views.crops([target.image], row)
            region = views.crops([target.mask], row)
            perceived.append(float(perceptual(wanted + region * (crop - wanted), wanted)))
    metrics: dict = {"inside": {"l1": _mean(list(residuals.values())), "psnr": _psnr(inside)}}
    if perceived:
        metrics["inside"]["lpips"] = _mean(perceived)
    metrics |= {"outside": {}} | subject.metrics()
    if outside:
        metrics["outside"]["psnr"] = _psnr(outside)
        found = outside_mask.report()
        # The number of the worst view is that in the capture.
        halo = found["halo"] | {"view": targets.round_views[found["halo"]["view"]]}
        metrics["outside"]["outside_mask"] = found | {"psnr": min(HIGHEST_PSNR, found["psnr"]), "halo": halo}
    return Measured(metrics, residuals)


def round_in_words(finished: Round, of: int) -> str:
    """What became of a round, in one line."""
    metrics = list(finished.manifest["metrics"].values())[-1]
    failed = sum(len(edit["failed"]) for edit in finished.manifest["edits"])
    outside = f", outside {metrics['outside']['psnr']:.1f} dB" if "psnr" in metrics["outside"] else ""
    return (
        f"Round {finished.number} of {of}: inside {metrics['inside']['psnr']:.1f} dB to the edited views{outside}, "
        f"{finished.manifest['seconds']['all']:.0f} s"
        + (f"; {failed} views could not be edited, see its manifest" if failed else "")
    )


def used_versions() -> dict[str, str]:
    """Of all libraries that decide what a round computes."""
    return versions() | {name: version(name) for name in ("diffusers", "transformers", "safetensors")}


def views_kept(keep: KeepConfig, shown: list[int]) -> set[int]:
    """The views of which the pictures before and after are kept, spread over those that show the object."""
    return {shown[place] for place in evenly_spread(len(shown), keep.views or len(shown))}


def size_estimate(folder: RoundsFolder, edit: EditableObject, views: SceneViews, plan: Plan) -> tuple[int, int]:
    """Bytes that all rounds will take, and bytes that are free there.

    Pictures as large as a render of the first view, masks a tenth; snapshots with two moments per parameter, an object
    that does not grow.
    """
    edits = plan.views * (1 + (plan.steps - 1) // plan.edit_every if plan.edit_every else 1)
    edited = min(edits, len(views.shown))
    pairs = min(edited, len(views_kept(folder.keep, views.shown)))
    picture = folder.bytes_per_picture(views.originals[views.shown[0]])
    parameters = sum(value.numel() for value in edit.parameters.values()) * 4
    whole_scene = sum(value.numel() for value in edit.scene.to_splatfacto().values()) * 4
    per_round = edited * picture * 11 // 10 + 2 * pairs * picture + 3 * parameters + 4 * len(edit.scene)
    existing = next(path for path in (folder.path, *folder.path.parents) if path.exists())
    return whole_scene + plan.rounds * per_round, shutil.disk_usage(existing).free


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _psnr(mean_squares: list[float]) -> float:
    """In dB, of the mean squared error over all views, at most `HIGHEST_PSNR`."""
    return float(min(HIGHEST_PSNR, -10 * np.log10(max(_mean(mean_squares), 1e-10))))
