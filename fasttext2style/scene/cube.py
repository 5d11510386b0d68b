"""Pictures of any lens, from six square ones that look in all directions from its place.

A rasterizer of splats draws pinholes; where each pixel of a fisheye or a panorama looks is the lens's own business.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.scene.cameras import Cameras

MARGIN = 1.02
"""How much wider than 90 degrees a face is (in tangents), so that pixels at its edges have neighbours on it."""
FORWARD = ((1.0, 0, 0), (-1.0, 0, 0), (0, 1.0, 0), (0, -1.0, 0), (0, 0, 1.0), (0, 0, -1.0))


def cube_faces(center: Float[Tensor, "3"], size: int) -> Cameras:
    """Six views from one place, along +x, -x, +y, -y, +z, -z, of size x size pixels."""
    forward = center.new_tensor(FORWARD)
    right = forward.roll(1, dims=1)
    down = torch.linalg.cross(forward, right, dim=1)
    rotations = torch.stack([right, down, forward], dim=1)
    viewmats = torch.eye(4).to(center).repeat(6, 1, 1)
    viewmats[:, :3, :3] = rotations
    viewmats[:, :3, 3] = -(rotations @ center)
    focal = size / 2 / MARGIN
    K = center.new_tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Cameras(viewmats, K.repeat(6, 1, 1), size, size)


def seen_along(
    faces: Cameras, pictures: Float[Tensor, "6 size size channels"], directions: Float[Tensor, "height width 3"]
) -> Float[Tensor, "height width channels"]:
    """What the pictures of `cube_faces` show in these directions (world coordinates, of any length), bilinearly."""
    face = torch.where(
        directions.gather(-1, directions.abs().argmax(-1, keepdim=True)) < 0,
        2 * directions.abs().argmax(-1, keepdim=True) + 1,
        2 * directions.abs().argmax(-1, keepdim=True),
    )[..., 0]
    seen = pictures.new_zeros(*directions.shape[:2], pictures.shape[-1])
    for number in range(6):
        here = face == number
        if not bool(here.any()):
            continue
        local = directions[here] @ faces.viewmats[number, :3, :3].T
        pixels = local[:, :2] / local[:, 2:] * faces.Ks[number, 0, 0] + faces.width / 2
        # grid_sample counts from -1 at the left edge of the first pixel to 1 at the right edge of the last.
        grid = (pixels / faces.width * 2 - 1)[None, None]
        picture = pictures[number].movedim(-1, 0)[None]
        found = torch.nn.functional.grid_sample(picture, grid, padding_mode="border", align_corners=False)
        seen[here] = found[0, :, 0].T
    return seen
