"""What hangs before one lens is told from what stands near one."""

from dataclasses import replace

import pytest
import torch
from shared_scenes import ball, blobs, disc, orbit

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.glued import glued_to_a_lens

CAMERAS = orbit(0.6)


def _scene(*more: Gaussians) -> Gaussians:
    torch.manual_seed(0)
    return Gaussians.concatenated([blobs(torch.cat([disc(3, 0, 3000), ball(0.4, 0.6, 800)])), *more])


def _before(view: int, way: float, size: float, opacity: float = 0.4, count: int = 5) -> Gaussians:
    """So far on the way from a camera to the middle, spread as wide as one of them."""
    place = CAMERAS.centers[view] + way * (torch.tensor([0.0, 0.0, 0.6]) - CAMERAS.centers[view])
    drawn = torch.randn(count, 3, generator=torch.Generator().manual_seed(1))
    return blobs(place + size * drawn, size, opacity)


def test_fog_before_two_lenses_is_found_and_nothing_else():
    found = glued_to_a_lens(_scene(_before(3, 0.1, 0.03), _before(8, 0.15, 0.03, opacity=0.9)), CAMERAS)
    assert found[3800:].all() and not found[:3800].any()


def test_a_scene_without_it_keeps_all():
    assert not glued_to_a_lens(_scene(), CAMERAS).any()


def test_what_a_second_camera_sees_from_beside_stays():
    viewmats = CAMERAS[3].viewmats.clone()
    viewmats[:, 0, 3] += 0.02
    beside = Cameras(viewmats, CAMERAS[3].Ks, CAMERAS.width, CAMERAS.height)
    scene = _scene(_before(3, 0.1, 0.03))
    assert glued_to_a_lens(scene, CAMERAS).sum() == 5
    assert not glued_to_a_lens(scene, Cameras.concatenated([CAMERAS, beside])).any()


def test_walls_around_cameras_that_look_outwards_stay():
    torch.manual_seed(0)
    middle = torch.zeros(12, 3)
    angle = torch.arange(12) * torch.pi / 6
    outwards = torch.stack([angle.cos(), angle.sin(), 0 * angle], dim=1)
    cameras = Cameras.looking_at(middle + 0.1 * outwards, middle + 3 * outwards, 64, 64, 70.0)
    room = blobs(ball(2.0, 0.0, 3000) * torch.tensor([1.0, 0.4, 0.6]))
    assert not glued_to_a_lens(room, cameras).any()


@pytest.mark.parametrize("scale", [0.3, 100.0])
def test_units_do_not_matter(scale):
    scene = _scene(_before(3, 0.1, 0.03))
    there = replace(scene, means=scale * scene.means, log_scales=scene.log_scales + torch.tensor(scale).log())
    viewmats = CAMERAS.viewmats.clone()
    viewmats[:, :3, 3] *= scale
    moved = Cameras(viewmats, CAMERAS.Ks, CAMERAS.width, CAMERAS.height)
    assert glued_to_a_lens(there, moved).nonzero()[:, 0].tolist() == list(range(3800, 3805))
