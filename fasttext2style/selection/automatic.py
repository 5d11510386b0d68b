"""Finds the object by itself: what the cameras turn around, freed from the ground on which it stands.

No network: people walk around the thing that they capture and keep it in the middle of their pictures. Steps: the point
where the cameras look; planes below it that reach far beyond what stands on them; the connected body above them that
fills the middle of the pictures; and a vote of all views on what belongs to its silhouette.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render_values
from fasttext2style.selection.ground import (
    LEAST_VIEWS,
    SeenScene,
    Standing,
    connected,
    look_at,
    most_central,
    some_views,
)
from fasttext2style.selection.lifting import mask_shares, without_outliers
from fasttext2style.selection.selection import Selection


def select_automatic(gaussians: Gaussians, cameras: Cameras) -> Selection:
    """Select the object that most views look at.

    Units do not matter, nor where up is: it is taken from the cameras, which people hold upright on the whole.

    Raises:
        ValueError: fewer than three views, or nothing solid where they look.
    """
    if len(cameras) < LEAST_VIEWS:
        raise ValueError(
            f"Finding the object takes at least {LEAST_VIEWS} views, got {len(cameras)}; select a box or give masks"
        )
    views = some_views(cameras)
    scene = look_at(gaussians, views)
    body = _body(scene)
    if len(body) == 0:
        raise ValueError(
            "Nothing solid where the cameras look; does the capture go around an object? Select it by a box or masks"
        )
    found = torch.zeros_like(scene.visible)
    found[body] = 1.0
    coverage, _, _ = render_values(gaussians.detach(), views, found[:, None])
    # The vote fills holes of the body and takes in what its silhouette hides.
    shares = mask_shares(gaussians.detach(), views, (coverage[..., 0] > 0.5).to(coverage))
    chosen = without_outliers(gaussians.means.detach(), shares > 0.5)
    return Selection(chosen.to(gaussians.means), f"found automatically in {len(views)} views").for_scene(gaussians)


def _body(scene: SeenScene) -> Int[Tensor, " body"]:
    rows = scene.near()
    if len(rows) == 0:
        return rows
    standing = Standing(scene, rows).central_body()
    if standing is not None:
        return standing.rows
    labels = connected(scene, rows)
    return rows[labels == most_central(scene, rows, labels)]
