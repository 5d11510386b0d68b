"""What makes a selection look wrong, said before anything is styled: size, pieces, fog, the frame, the sides seen.

All of it is measured in small renders from the capture's own cameras; no network is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions, render_values
from fasttext2style.selection.neighbours import bodies, longest_gap, widths_of
from fasttext2style.selection.seen import focus_of, some_views

FEW_GAUSSIANS = 300
SMALL_SHARE = 0.005
"""Of a picture: 18 x 18 of 256 x 256 pixels."""
LARGE_SHARE = 0.75
"""Of what a picture shows at all; the sky of a capture may be empty."""
LEAST_MAIN_PIECE = 0.9
"""Of what is seen of the object; below that, several things are selected, or one and much debris."""
LARGE_PIECE = 0.02
"""Smaller ones are debris, and not counted as pieces."""
CUT_BORDER = 0.1
"""Of the length of a picture's border: what lies across more of it is cut off there, not just touched."""
CUT_VIEWS = 1 / 3
WIDEST_GAP_DEGREES = 150.0
"""Between neighbouring cameras around the object."""

LEAST_OWN = 0.9
"""Of what shows well inside its outline: clean scenes and real captures have .98 or more; with a fifth of debris, and
where the object is no longer found well, it is less than this."""
RIM = 2
"""Pixels at an outline that belong to two things anyway."""


@dataclass(frozen=True)
class _Seen:
    """The object in some views, those that show it."""

    inside: Float[Tensor, "views height width"]
    """1 where more than half of a pixel's colour is the object's."""
    solid: Float[Tensor, "views height width"]
    """1 where there is anything."""
    own: Float[Tensor, "views height width"]
    """Of what shows in a pixel, the object's share."""
    cameras: Cameras
    looked_at: int
    """How many views were rendered."""

    @property
    def shares(self) -> Float[Tensor, " views"]:
        """Of each picture, how much the object covers."""
        return self.inside.mean(dim=(1, 2))


def doubts(gaussians: Gaussians, cameras: Cameras, weights: Float[Tensor, " gaussians"]) -> list[str]:
    """What a person should look at before a style begins: sentences, each with what to do; none if all looks well.

    Args:
        gaussians: the scene.
        cameras: the training views.
        weights: of the selection, in [0, 1]; what has any weight is the object.
    """
    gaussians, chosen = gaussians.detach(), weights > 0
    count = int(chosen.sum())
    if count in (0, len(gaussians)):
        return []  # the first is an error, the second has its own warning
    seen = _look(gaussians, cameras, chosen)
    if len(seen.cameras) == 0:
        return [
            f"No photograph shows the object ({count:,} Gaussians): it lies behind or inside something. Choose it by "
            "clicks, masks or --object box instead."
        ]
    found = [
        _about_size(seen, count, len(gaussians)),
        _about_pieces(gaussians, chosen, seen),
        _about_a_veil(seen),
        _about_the_frame(seen),
        _about_sides(gaussians, chosen, seen),
    ]
    return [text for text in found if text]


def _look(gaussians: Gaussians, cameras: Cameras, chosen: Tensor) -> _Seen:
    views = some_views(cameras)
    values = torch.stack([chosen, torch.ones_like(chosen)], dim=1).to(gaussians.means)
    covered = torch.cat([render_values(gaussians, view, values)[0] for view in views])
    inside, solid = (covered > 0.5).float().unbind(dim=-1)
    own = covered[..., 0] / covered[..., 1].clamp_min(1e-6)
    shows = (inside.mean(dim=(1, 2)) > 0).nonzero()[:, 0]
    return _Seen(inside[shows], solid[shows], own[shows], views[shows], len(views))


def _about_size(seen: _Seen, count: int, total: int) -> str:
    share = float(seen.shares.median())
    of_what_is_there = float((seen.inside.sum(dim=(1, 2)) / seen.solid.sum(dim=(1, 2)).clamp_min(1)).median())
    if of_what_is_there > LARGE_SHARE:
        return (
            f"The object is nearly all that there is: {count:,} of {total:,} Gaussians, {of_what_is_there:.0%} of what "
            "the photographs show. Is the background among it? Choose less by clicks, masks or --object box."
        )
    if count < FEW_GAUSSIANS or share < SMALL_SHARE:
        return (
            f"The object is very small: {count:,} of {total:,} Gaussians, {share:.1%} of a photograph where it is "
            "seen. Is it all of it? Choose it by clicks or masks, or another of the candidates (--object 2)."
        )
    if 2 * len(seen.cameras) < seen.looked_at:
        return (
            f"Only {len(seen.cameras)} of {seen.looked_at} photographs that were looked at show the object. Is it what "
            "the capture is about? Another of the candidates may be (--object 2)."
        )
    return ""


def _about_pieces(gaussians: Gaussians, chosen: Tensor, seen: _Seen) -> str:
    rows = chosen.nonzero()[:, 0]
    distance = float((seen.cameras.centers - focus_of(seen.cameras)).norm(dim=1).median())
    means = gaussians.means[rows]
    labels = bodies(means, widths_of(gaussians.scales)[rows], longest=longest_gap(means, distance))
    shown = contributions(gaussians, seen.cameras, torch.ones_like(seen.inside)[..., None])[rows, 0].clamp_min(0)
    pieces = torch.zeros(int(labels.max()) + 1, device=shown.device).index_add_(0, labels, shown)
    pieces = pieces / pieces.sum().clamp_min(1e-12)
    large = int((pieces > LARGE_PIECE).sum())
    if float(pieces.max()) >= LEAST_MAIN_PIECE:
        return ""
    return (
        f"The object is in {max(large, 2)} pieces; the largest is {float(pieces.max()):.0%} of it. "
        "Keep that alone with ft2s select --keep-largest, or choose again."
    )


def _about_a_veil(seen: _Seen) -> str:
    reach = 2 * RIM + 1
    core = -torch.nn.functional.max_pool2d(-seen.inside[:, None], reach, 1, RIM)[:, 0] > 0
    if not bool(core.any()):
        return ""
    share = float(seen.own[core].mean())
    if share >= LEAST_OWN:
        return ""
    return (
        f"Of what shows inside the object's outline only {share:.0%} is the object: fog or debris hangs before it, and "
        "keeps its look; parts of the object may have been taken for debris. Clean the scene (SuperSplat) or "
        "reconstruct it from more and sharper photographs."
    )


def _about_the_frame(seen: _Seen) -> str:
    top_and_bottom, left_and_right = seen.inside[:, [0, -1]], seen.inside[:, 1:-1, [0, -1]]
    height, width = seen.inside.shape[1:]
    border = top_and_bottom.sum(dim=(1, 2)) + left_and_right.sum(dim=(1, 2))
    cut = int((border / (2 * (height + width) - 4) > CUT_BORDER).sum())
    if cut <= CUT_VIEWS * len(seen.cameras):
        return ""
    return (
        f"The object is cut off by the edge of the picture in {cut} of {len(seen.cameras)} photographs. If ground or "
        "background is among it, choose less; if it is right, expect little at its edges: photographs from farther "
        "away would show them."
    )


def _about_sides(gaussians: Gaussians, chosen: Tensor, seen: _Seen) -> str:
    middle = gaussians.means[chosen].median(dim=0).values
    up = seen.cameras.up
    away = seen.cameras.centers - middle
    # From straight above all sides are seen alike.
    high = float((torch.nn.functional.normalize(away, dim=1) @ up).median()) > math.sin(math.radians(65.0))
    if high or len(away) < 2:
        return ""
    sideways = torch.linalg.svd(up[None], full_matrices=True)[2][1:]
    angles = torch.atan2(away @ sideways[0], away @ sideways[1]).rad2deg().sort().values
    gaps = torch.cat([angles[1:] - angles[:-1], 360 + angles[:1] - angles[-1:]])
    if float(gaps.max()) < WIDEST_GAP_DEGREES:
        return ""
    return (
        f"The object is seen from about {10 * round((360 - float(gaps.max())) / 10)} of 360 degrees around it. The "
        "sides that no photograph shows are guesses: look at the result from where the photographs were taken."
    )
