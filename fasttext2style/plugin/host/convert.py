"""nerfstudio's cameras as ours."""

from __future__ import annotations

from nerfstudio.cameras.cameras import Cameras as HostCameras

from fasttext2style.scene.cameras import Cameras


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
