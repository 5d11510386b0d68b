"""Panoramas lie around a scene as nerfstudio renders them: what `ns-render` writes can be taken for surroundings."""

import torch
from nerfstudio.cameras.cameras import Cameras, CameraType

from fasttext2style.envmaps.sphere import directions


def test_pixels_of_nerfstudios_panoramas_look_where_ours_do():
    """Of an upright camera (its up is +z) that looks along +x: right is -y, and a camera looks along its own -z."""
    upright = torch.tensor([[[0.0, 0, -1, 0], [-1, 0, 0, 0], [0, 1, 0, 0]]])
    # Half the width and the height are its "focal lengths", as in the camera paths of its viewer.
    camera = Cameras(upright, 16.0, 16.0, 16.0, 8.0, 32, 16, camera_type=CameraType.EQUIRECTANGULAR)
    rays = camera.generate_rays(camera_indices=0, keep_shape=True).directions
    torch.testing.assert_close(rays.double(), directions(16, 32), rtol=0, atol=1e-5)
