"""Finds the object automatically: what the cameras turn around, freed from the ground on which it stands.

No network: people walk around the thing that they capture and keep it in the middle of their pictures. Steps: the point
where the cameras look; planes below it that reach far beyond what stands on them; the connected body above them that
fills the middle of the pictures; and a vote of all views on what belongs to its silhouette. What else stands there are
candidates, too: a table under a vase, a ball beside a statue.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Int
from scipy import ndimage
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render_values, views_at_once
from fasttext2style.selection.ground import LEAST_BODY, Standing, most_central, near
from fasttext2style.selection.lifting import mask_shares, without_outliers
from fasttext2style.selection.seen import LEAST_VIEWS, SeenScene, connected, look_at, some_views
from fasttext2style.selection.selection import Selection

CANDIDATES = 3
"""So many are shown."""
SAME_BODY = 0.7
"""Two bodies that share so much of both together are one candidate."""
PINHOLE = 24
"""Pixels of a view of 128 x 128; smaller holes in a silhouette are gaps between Gaussians."""
LEAST_THROUGH_FOG = 0.05
"""Of a pixel: where less of it is solid, nothing shows through."""
LEAST_CENTRAL = 0.002
"""Of what the middle of the pictures shows: less is no candidate."""


def select_automatic(gaussians: Gaussians, cameras: Cameras, number: int = 1) -> Selection:
    """Select the object that most views look at, or another candidate.

    Units do not matter, nor where up is: it is taken from the cameras, which people hold upright on the whole.

    Args:
        number: of the candidate, from 1, the likeliest.

    Raises:
        ValueError: fewer than three views, nothing solid where they look, or no such candidate.
    """
    scene, views, found = _found(gaussians, cameras, 1 if number == 1 else CANDIDATES)
    if not 1 <= number <= len(found):
        raise ValueError(no_candidate(number, len(found)))
    return _voted(gaussians, scene, views, found[number - 1], "" if number == 1 else f", candidate {number}")


def candidates(gaussians: Gaussians, cameras: Cameras) -> list[Selection]:
    """The most likely objects, the likeliest first; at most `CANDIDATES`.

    Raises:
        ValueError: fewer than three views, or nothing solid where they look.
    """
    scene, views, found = _found(gaussians, cameras, CANDIDATES)
    return [
        _voted(gaussians, scene, views, body, "" if number == 0 else f", candidate {number + 1}")
        for number, body in enumerate(found)
    ]


def no_candidate(number: int, there_are: int) -> str:
    """Why an object of that number cannot be had."""
    stand = "1 candidate stands" if there_are == 1 else f"{there_are} candidates stand"
    return (
        f"There is no object {number}: {stand} out in this scene. Choose another by clicks, masks, --object box or "
        "--object sphere."
    )


def _found(gaussians: Gaussians, cameras: Cameras, most: int) -> tuple[SeenScene, Cameras, list[Tensor]]:
    if len(cameras) < LEAST_VIEWS:
        raise ValueError(
            f"Finding the object takes at least {LEAST_VIEWS} views, got {len(cameras)}; select a box or give masks"
        )
    views = some_views(cameras)
    scene = look_at(gaussians, views)
    found = _bodies(scene, most)
    if not found:
        raise ValueError(
            "Nothing solid where the cameras look; does the capture go around an object? Select it by a box or masks"
        )
    return scene, views, found


def _voted(gaussians: Gaussians, scene: SeenScene, views: Cameras, body: Int[Tensor, " body"], which: str) -> Selection:
    """The vote fills holes of the body and takes in what its silhouette hides."""
    found = torch.zeros_like(scene.visible)
    found[body] = 1.0
    values = torch.stack([found, torch.maximum(found, scene.solid.to(found))], dim=1)
    batch = views_at_once(gaussians, len(views))
    parts = (views[start : start + batch] for start in range(0, len(views), batch))
    covered = torch.cat([render_values(gaussians.detach(), some, values)[0] for some in parts])
    # Where fog hangs before a body no pixel is all its own: half of what shows through.
    coverage = torch.where(covered[..., 1] > LEAST_THROUGH_FOG, covered[..., 0] / covered[..., 1], 0.0)
    masks = np.stack([_closed(mask) for mask in (coverage > 0.5).cpu().numpy()])
    shares = mask_shares(gaussians.detach(), views, torch.from_numpy(masks).to(coverage))
    chosen = without_outliers(gaussians.means.detach(), shares > 0.5)
    origin = f"found automatically in {len(views)} views{which}"
    return Selection(chosen.to(gaussians.means), origin).for_scene(gaussians)


def _closed(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Without cracks and pinholes: a body's own gaps. Wider holes show what lies behind it and stay."""
    closed = np.asarray(ndimage.binary_closing(np.pad(mask, 2)))
    holes, count = ndimage.label(np.logical_and(ndimage.binary_fill_holes(closed), ~closed))  # type: ignore[misc]
    small = 1 + np.flatnonzero(np.bincount(np.ravel(holes), minlength=count + 1)[1:] <= PINHOLE)
    return np.logical_or(closed, np.isin(holes, small))[2:-2, 2:-2]


def _bodies(scene: SeenScene, most: int) -> list[Int[Tensor, " body"]]:
    """The likeliest object, then what else stands out, the most central first; no two that are nearly the same."""
    rows = near(scene)
    if len(rows) == 0:
        return []
    standing = Standing(scene, rows)
    central = standing.central_body()
    others = []
    if central is None:  # what stands on no ground that is seen
        labels = connected(scene, rows)
        first = rows[labels == most_central(scene, rows, labels)]
        others = [rows[labels == label] for label in (labels.bincount() >= LEAST_BODY).nonzero()[:, 0].tolist()]
    else:
        first = central.rows
    if most == 1:
        return [first]
    others += [body.rows for body in standing.all_bodies()] + [standing.carrier(first)]
    shown = [float(scene.central[body].sum()) for body in others]
    least = LEAST_CENTRAL * float(scene.central.sum())
    found = [first]
    for number in sorted(range(len(others)), key=lambda number: -shown[number]):
        if len(found) < most and shown[number] > least and all(_apart(others[number], one) for one in found):
            found.append(others[number])
    return found


def _apart(one: Int[Tensor, " body"], other: Int[Tensor, " other"]) -> bool:
    shared = int(torch.isin(one, other).sum())
    return shared < SAME_BODY * (len(one) + len(other) - shared)
