"""One edit in numbers: how well it did what was asked, what else it changed, and whether views agree.

`evaluate_edit` returns a plain dict for report.json's sister, evaluation.json; `tables` shows it to people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.evaluation.edit import EditedScene, Sight, look
from fasttext2style.evaluation.footprints import footprint_deviation
from fasttext2style.evaluation.halo import pixels_outside
from fasttext2style.evaluation.image_metrics import largest_change, lpips_inside, mean_color, psnr, ssim
from fasttext2style.evaluation.seen import Observer, Pair, Seen, look_by
from fasttext2style.evaluation.text_metrics import direction_consistency, direction_similarity, similarity
from fasttext2style.evaluation.warping import warp
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.image_losses import ContentLoss
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.workers.in_process import InProcess
from fasttext2style.workers.pieces import Crew

ONE_STEP = 1 / 255
"""Share of a pixel's colour below which the object cannot change it by more than one of 8 bits' steps."""
RANGES = {"short": 1, "long": 7}
"""Frames between the two views of a pair along the camera path (StyleRF's short and long range)."""


@dataclass(frozen=True)
class Targets:
    """The edited pictures that a scene was trained towards, one per camera."""

    cameras: Cameras
    images: Float[Tensor, "views height width 3"]


@dataclass(frozen=True)
class Captions:
    """What a text-image encoder compares with: descriptions, not instructions."""

    before: str
    after: str


@dataclass(frozen=True)
class Sights:
    """What cameras see of a scene before and after an edit, whatever it is made of."""

    views: Seen
    """Held-out views, for pictures and texts."""
    path: Seen
    """Neighbouring views of a smooth camera path, for agreement between views."""


def evaluate_edit(
    edit: EditedScene,
    views: Cameras,
    path: Cameras,
    captions: Captions,
    encoders: Sequence[TextImageEncoder] = (),
    lpips: ContentLoss | None = None,
    targets: Targets | None = None,
    crew: Crew | None = None,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """All metrics of an edit of Gaussians, and the pictures they were measured on.

    Args:
        edit: the scene before and after.
        views: held-out views, for pictures and texts.
        path: neighbouring views of a smooth camera path, for agreement between views.
        captions: texts for the encoders.
        encoders: what compares with the captions.
        lpips: left out if None.
        targets: edited pictures; None for edits that had none.
        crew: observers (`seen.Observer`) of this scene with these encoders; None: this process looks.

    Raises:
        ValueError: no view shows the object.
    """
    found = look_by(crew or InProcess(Observer(edit, encoders)), {"held-out views": views, "camera path": path})
    sights = Sights(*found.values())
    _check_shown(sights.views)
    seen = None if targets is None else look(edit.after, edit.object_after, targets.cameras)
    report, pictures = evaluate_sights(sights, captions, encoders, lpips, targets, seen)
    report["outside"] |= {
        "gaussians_changed": edit.foreign_rows,
        "largest_parameter_change": edit.largest_outside_change(),
    }
    report["footprint_deviation"] = {
        "before": _deviation(edit.before, sights.path.before, edit.object_before),
        "after": _deviation(edit.after, sights.path.after, edit.object_after),
    }
    report["gaussians"] = {
        "before": len(edit.before),
        "after": len(edit.after),
        "object_before": int(edit.object_before.sum()),
        "object_after": int(edit.object_after.sum()),
    }
    if targets is not None:
        report["footprint_deviation"]["targets"] = footprint_deviation(
            edit.after, targets.cameras, targets.images, edit.object_after
        )
    return report, pictures


def evaluate_sights(
    sights: Sights,
    captions: Captions,
    encoders: Sequence[TextImageEncoder] = (),
    lpips: ContentLoss | None = None,
    targets: Targets | None = None,
    seen: Sight | None = None,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What pictures tell of an edit: as `evaluate_edit`, of whatever renders. `seen` are the targets' views now.

    Raises:
        ValueError: no view shows the object.
    """
    before, after = sights.views.before, sights.views.after
    views = before.cameras
    _check_shown(sights.views)
    inside = torch.maximum(before.coverage, after.coverage)
    outside = (inside < ONE_STEP).float()
    path_before, path_after = sights.path.before, sights.path.after
    report: dict[str, Any] = {
        "captions": {"before": captions.before, "after": captions.after},
        "views": {"count": len(views), "width": views.width, "height": views.height, "path": len(path_before.cameras)},
        "mean_color": {
            "before": mean_color(before.images, before.coverage),
            "after": mean_color(after.images, before.coverage),
        },
        "inside": {"to_before": _distances(after.images, before.images, inside, lpips)},
        "outside": {
            **_distances(after.images, before.images, outside, lpips),
            "largest_pixel_change": largest_change(after.images, before.images, outside),
            "share_of_pixels": float(outside.mean()),
            "outside_mask": pixels_outside(before.images, after.images, before.coverage),
        },
        "text": {
            encoder.name: _text_metrics(
                encoder, captions, sights.views.embeddings[encoder.name], sights.path.embeddings[encoder.name]
            )
            for encoder in encoders
        },
        "agreement": {
            name: {"before": _agreement(path_before, gap, lpips), "after": _agreement(path_after, gap, lpips)}
            for name, gap in RANGES.items()
            if gap < len(path_before.cameras)
        },
    }
    pictures = {
        "before": before.images,
        "after": after.images,
        "object": inside,
        "object_before": before.coverage,
    }
    if targets is not None and seen is not None:
        report["inside"]["to_targets"] = _distances(seen.images, targets.images, seen.coverage, lpips)
        pictures |= {"targets": targets.images, "renders": seen.images}
    return report, pictures


def _check_shown(views: Seen) -> None:
    before, after = views.before, views.after
    if not bool((torch.maximum(before.coverage, after.coverage) > 0.5).any()):
        raise ValueError(
            f"None of the {len(before.cameras)} views shows the selected object, so nothing can be measured. Were "
            "scene and cameras made in the same coordinates?"
        )


def _distances(images: Tensor, references: Tensor, weights: Tensor, lpips: ContentLoss | None) -> dict[str, float]:
    distances = {"psnr": psnr(images, references, weights), "ssim": ssim(images, references, weights)}
    if lpips is not None:
        distances["lpips"] = lpips_inside(lpips, images, references, weights)
    return distances


def _text_metrics(encoder: TextImageEncoder, captions: Captions, views: Pair, path: Pair) -> dict[str, float]:
    """On square crops around the object, its surroundings included."""
    source, target = encoder.embed_texts([captions.before, captions.after])
    return {
        "similarity_before": similarity(views.before, target),
        "similarity_after": similarity(views.after, target),
        "direction_similarity": direction_similarity(*views, source, target),
        "direction_consistency": direction_consistency(*path),
    }


def _deviation(gaussians: Gaussians, path: Sight, is_object: Tensor) -> float:
    """Over every fourth view of the path: neighbours show much the same, and there are more than held-out views."""
    return footprint_deviation(gaussians, path.cameras[::4], path.images[::4], is_object)


def _agreement(sight: Sight, gap: int, lpips: ContentLoss | None) -> dict[str, float]:
    """Between each view and the one `gap` frames later, warped into it, where both see the object's surface."""
    now, later = slice(None, -gap), slice(gap, None)
    warped, known = warp(
        sight.images[later], sight.cameras[later], sight.depths[later], sight.cameras[now], sight.depths[now]
    )
    weights = sight.coverage[now] * known
    squared = (warped - sight.images[now]).square().mean(-1)
    total = float(weights.sum())
    agreement = {
        "rmse": (float((squared * weights).sum()) / total) ** 0.5 if total else float("nan"),
        "share_seen_twice": total / max(float(sight.coverage[now].sum()), 1e-9),
    }
    if lpips is not None:
        agreement["lpips"] = lpips_inside(lpips, warped, sight.images[now], weights)
    return agreement
