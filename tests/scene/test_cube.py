"""Six squares show what any lens sees."""

import math

import pytest
import torch

from fasttext2style.scene.cube import cube_faces, seen_along


def _directions(count=400, seed=0):
    return torch.nn.functional.normalize(
        torch.randn(count, 1, 3, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def _smooth(directions):
    """A colour for each direction, slow enough for bilinear sampling."""
    return torch.stack([directions[..., 0], directions[..., 1] * directions[..., 2], directions[..., 2] ** 2], dim=-1)


@pytest.mark.parametrize("center", [(0.0, 0.0, 0.0), (3.0, -2.0, 7.0)])
def test_every_direction_is_seen_as_it_is(center):
    """Faces are painted by what lies in the direction of each pixel: asking for a direction gives its colour back."""
    faces = cube_faces(torch.tensor(center), 64)
    pixels = torch.arange(64) + 0.5
    y, x = torch.meshgrid(pixels, pixels, indexing="ij")
    focal = faces.Ks[0, 0, 0]
    local = torch.stack([(x - 32) / focal, (y - 32) / focal, torch.ones(64, 64)], dim=-1)
    world = torch.einsum("hwi,fij->fhwj", local, faces.viewmats[:, :3, :3])
    painted = _smooth(torch.nn.functional.normalize(world, dim=-1))
    directions = _directions()
    torch.testing.assert_close(seen_along(faces, painted, directions), _smooth(directions), atol=2e-3, rtol=0)
    torch.testing.assert_close(faces.centers, torch.tensor(center).expand(6, 3))


def test_faces_are_turned_and_not_mirrored():
    rotations = cube_faces(torch.zeros(3), 8).viewmats[:, :3, :3]
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), torch.eye(3).expand(6, 3, 3))
    assert rotations.det().tolist() == pytest.approx([1.0] * 6)


def test_a_face_is_a_little_wider_than_a_right_angle():
    faces = cube_faces(torch.zeros(3), 100)
    assert 45 < math.degrees(math.atan(50 / float(faces.Ks[0, 0, 0]))) < 46
