"""nerfstudio's cameras as ours."""

from __future__ import annotations

import torch
from nerfstudio.cameras.cameras import Cameras as HostCameras

from fasttext2style.scene.cameras import Cameras


def check_camera(camera: HostCameras) -> None:
    """Raises ValueError for a camera that stands nowhere or sees nothing, of which a picture would be empty."""
    poses, focals = camera.camera_to_worlds.float(), torch.stack([camera.fx, camera.fy]).float()
    turns = torch.linalg.det(poses[..., :3, :3])
    if not bool(poses.isfinite().all() and focals.isfinite().all() and (focals > 1e-6).all() and (turns > 1e-6).all()):
        raise ValueError(
            "A camera has a place and a rotation that are numbers, and a field of view between 0 and 180 degrees, "
            f"got camera_to_world {poses.flatten().tolist()} and focal lengths {focals.flatten().tolist()}. Look at "
            "camera_to_world and fov in the camera path."
        )


def to_scene_cameras(cameras: HostCameras) -> Cameras:
    """Our cameras from nerfstudio's; views of one size, larger or smaller ones are brought to the most common size.

    Intrinsics are kept and only the frame is set, so a differing view (undistortion crops each photograph by its own
    few pixels, a portrait stands among landscapes) is shown wider or narrower, never stretched.
    """
    cameras = cameras.reshape((-1,))
    width = int(cameras.width.flatten().mode().values)
    height = int(cameras.height.flatten().mode().values)
    return Cameras.from_opengl(
        cameras.camera_to_worlds[:, :3, :4].float(),
        cameras.fx.flatten().float(),
        cameras.fy.flatten().float(),
        cameras.cx.flatten().float(),
        cameras.cy.flatten().float(),
        width,
        height,
    )
