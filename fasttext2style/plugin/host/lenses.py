"""Renders of lenses that are no pinholes: what a camera path or the viewer asks for as fisheye or panorama."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from nerfstudio.cameras.cameras import Cameras as HostCameras
from nerfstudio.cameras.cameras import CameraType
from torch import Tensor

from fasttext2style.plugin.host.outputs import LazyOutputs
from fasttext2style.scene.cube import cube_faces, seen_along

FROM_ONE_PLACE = (CameraType.FISHEYE, CameraType.FISHEYE624, CameraType.EQUIRECTANGULAR)
OVERSAMPLING = 1.25
"""Pixels of a face for each pixel of the picture at its middle: bilinear sampling blurs."""
LARGEST_FACE = 4096


def is_pinhole(camera: HostCameras) -> bool:
    return int(camera.camera_type.flatten()[0]) == CameraType.PERSPECTIVE.value


def render_lens(camera: HostCameras, render: Callable[[HostCameras], Mapping[str, Any]]) -> LazyOutputs:
    """The outputs of one camera of any lens, from six that `render` makes of pinholes at its place.

    Raises:
        ValueError: a lens that sees from several places (stereo panoramas, orthographic pictures).
    """
    lens = CameraType(int(camera.camera_type.flatten()[0]))
    # The viewer's preview runs in a thread of its own, where nobody could read an error: it shows one eye.
    if lens not in FROM_ONE_PLACE and threading.current_thread() is threading.main_thread():
        raise ValueError(
            f"Cameras of type {lens.name} cannot be rendered here; these can: PERSPECTIVE, "
            f"{', '.join(known.name for known in FROM_ONE_PLACE)}. In a camera path, camera_type is perspective, "
            "fisheye or equirectangular."
        )
    directions = camera.generate_rays(camera_indices=0, keep_shape=True).directions
    width = directions.shape[1]
    per_radian = width / (2 * math.pi) if lens is CameraType.EQUIRECTANGULAR else float(camera.fx.flatten()[0])
    size = min(LARGEST_FACE, max(16, math.ceil(2 * OVERSAMPLING * per_radian)))
    # A camera path that was written by hand may give whole numbers.
    faces = cube_faces(camera.camera_to_worlds.reshape(3, 4)[:, 3].float(), size)
    poses, K = faces.to_opengl(), faces.Ks[0].tolist()
    rendered = [
        render(HostCameras(poses[face : face + 1], K[0][0], K[1][1], K[0][2], K[1][2], size, size).to(camera.device))
        for face in range(6)
    ]
    # Faces have depths along their own axes, a lens along its rays.
    steps = (torch.arange(size, device=camera.device) + 0.5 - size / 2) / K[0][0]
    slant = (1 + steps[:, None] ** 2 + steps[None] ** 2).sqrt()[..., None]

    def stitched(name: str) -> Tensor:
        pictures = torch.stack([outputs[name] for outputs in rendered])
        return seen_along(faces, pictures * slant if name == "depth" else pictures, directions)

    outputs = LazyOutputs()
    for name in rendered[0]:
        outputs.later(name, lambda name=name: stitched(name))
    outputs.get("rgb")  # now: it belongs to the scene as it is
    return outputs
