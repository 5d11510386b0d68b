"""What an edit changed, as a step of the history; and a picture of it."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fasttext2style.evaluation.report import to_uint8
from fasttext2style.history.delta import Delta
from fasttext2style.history.state import SceneState
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.views import object_views

_THUMBNAIL = 96
_BEHIND = 0.25
"""Grey behind what is shown alone."""


def object_before(state: SceneState, edit: EditableObject) -> SceneState:
    """The Gaussians that an edit is about to change, with their identities."""
    return SceneState.from_gaussians(edit.original, edit.weights, state.ids[edit.rows])


def object_delta(before: SceneState, edit: EditableObject, new_ids: Tensor) -> Delta:
    """What an edit changed; `new_ids` are for the Gaussians of an object that has grown."""
    now = edit.gaussians(()).detach()
    if edit.has_grown:
        return Delta.of_growth(before, SceneState.from_gaussians(now, edit.weights, new_ids))
    return Delta.of_rows(before.ids, edit.original.to_splatfacto(), now.to_splatfacto())


def object_view(thing: Gaussians, cameras: Cameras) -> Cameras:
    """A view that shows an object; of what no camera shows the first one."""
    try:
        return object_views(thing, cameras, _THUMBNAIL)[0]
    except ValueError:
        return cameras[0]


@torch.no_grad()
def portrait(thing: Gaussians, cameras: Cameras) -> np.ndarray:
    """[height, width, 3] these Gaussians alone, on grey, in a view that shows them."""
    image, alpha, _ = render(thing, object_view(thing, cameras).resized(_THUMBNAIL, _THUMBNAIL))
    return to_uint8(image + (1 - alpha) * _BEHIND)[0]


def png(picture: np.ndarray) -> bytes:
    """As a file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


@torch.no_grad()
def thumbnail(scene: Gaussians, view: Cameras) -> np.ndarray:
    """[height, width, 3] the scene in a square view of the object."""
    return to_uint8(render(scene, view.resized(_THUMBNAIL, _THUMBNAIL))[0])[0]
