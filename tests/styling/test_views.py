"""Views of the object: boxes that hold it, views that show it, and every view once per epoch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.styling.views import ViewSampler, object_boxes, object_views


def _blob(center=(0.0, 0.0, 0.0), radius: float = 0.2, count: int = 400) -> Gaussians:
    generator = torch.Generator().manual_seed(1)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    return Gaussians(
        means=directions * radius + torch.tensor(center),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        log_scales=torch.full((count, 3), -4.0),
        logit_opacities=torch.full((count,), 3.0),
        sh_dc=torch.zeros(count, 3),
        sh_rest=torch.zeros(count, 0, 3),
    )


def _orbit(views: int = 6) -> Cameras:
    return Cameras.orbit((0.0, 0.0, 0.0), 2.0, views, 100, 80, fov_degrees=50.0)


def test_the_box_of_a_ball_has_its_projected_size():
    boxes, shown = object_boxes(_blob(), _orbit(), margin=1.0)
    assert bool(shown.all())
    focal = 40 / torch.tan(torch.deg2rad(torch.tensor(25.0)))
    # The silhouette of a ball of radius r at distance d has the half angle asin(r / d).
    half = focal * torch.tan(torch.asin(torch.tensor(0.1)))
    sides = boxes[:, 2:] - boxes[:, :2]
    assert torch.allclose(sides, (2 * half).expand_as(sides), rtol=0.06)
    assert torch.allclose((boxes[:, :2] + boxes[:, 2:]) / 2, torch.tensor([50.0, 40.0]).expand(6, 2), atol=0.6)


def test_boxes_are_square_and_grow_with_the_margin():
    small, _ = object_boxes(_blob(), _orbit(), margin=1.0)
    large, _ = object_boxes(_blob(), _orbit(), margin=1.5)
    side = small[:, 2] - small[:, 0]
    assert torch.allclose(side, small[:, 3] - small[:, 1], atol=1e-3)
    assert torch.allclose(large[:, 2] - large[:, 0], 1.5 * side, atol=1e-3)


def test_views_that_do_not_show_the_object_are_left_out():
    # Four cameras on a circle around the origin; the object stands beside camera 0, far to its right.
    cameras = _orbit(4)
    views = object_views(_blob(center=(2.5, 0.0, 0.3), radius=0.1), cameras, size=32)
    assert 0 < len(views) < 4
    assert (views.width, views.height) == (32, 32)


def test_a_floor_without_end_is_seen_as_wide_as_the_image():
    generator = torch.Generator().manual_seed(0)
    floor = _blob(count=2000)
    floor.means.copy_(torch.rand(2000, 3, generator=generator) * 8 - 4)
    floor.means[:, 2] = -0.3
    boxes, shown = object_boxes(floor, _orbit(), margin=1.0)
    assert bool(shown.all())
    # 15 % beyond the image, 100 pixels wide, on either side; the box is square.
    torch.testing.assert_close(boxes[:, [0, 2]], torch.tensor([-15.0, 115.0]).expand(6, 2))
    torch.testing.assert_close(boxes[:, 3] - boxes[:, 1], torch.full((6,), 130.0))


def test_what_can_hardly_be_seen_does_not_widen_a_box():
    ball, dust = _blob(), _blob(center=(0.0, 0.0, 0.8), count=100)
    dust.logit_opacities[:] = torch.tensor(0.05).logit()
    alone, both = (object_boxes(it, _orbit())[0] for it in (ball, Gaussians.concatenated([ball, dust])))
    torch.testing.assert_close(both, alone)
    dust.logit_opacities[:] = torch.tensor(0.2).logit()
    assert bool((object_boxes(Gaussians.concatenated([ball, dust]), _orbit())[0] != alone).any())


def test_an_object_of_dust_alone_has_a_box_all_the_same():
    ball, dust = _blob(), _blob()
    dust.logit_opacities[:] = torch.tensor(0.05).logit()
    torch.testing.assert_close(object_boxes(dust, _orbit())[0], object_boxes(ball, _orbit())[0])


def test_what_lies_behind_a_camera_does_not_widen_its_box():
    ball, cameras = _blob(), _orbit()
    behind = _blob(center=tuple((cameras.centers[0] - 0.5 * cameras.directions[0]).tolist()), count=100)
    alone, both = (object_boxes(it, cameras)[0] for it in (ball, Gaussians.concatenated([ball, behind])))
    torch.testing.assert_close(both[0], alone[0])


def test_a_box_has_room_around_the_object_unless_it_is_told_otherwise():
    """`crop_margin` of 1.15 is the default of a style, too: 15 % more than the object's own box."""
    tight, usual = object_boxes(_blob(), _orbit(), margin=1.0)[0], object_boxes(_blob(), _orbit())[0]
    torch.testing.assert_close(usual[:, 2] - usual[:, 0], 1.15 * (tight[:, 2] - tight[:, 0]))
    views = object_views(_blob(), _orbit(), 32)
    torch.testing.assert_close(views.Ks, _orbit().cropped(usual, 32, 32).Ks)


def test_an_object_behind_all_cameras_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="None of the 3 views shows"):
        object_views(_blob(center=(0.0, 0.0, 50.0)), _orbit(3), size=32)


@given(st.integers(1, 12), st.integers(1, 20), st.integers(0, 5))
def test_every_view_comes_once_per_epoch(views, batch, seed):
    sampler = ViewSampler(views, batch, seed)
    taken = [view for _ in range(views) for view in sampler.next().tolist()]
    counts = torch.bincount(torch.tensor(taken), minlength=views)
    assert counts.max() - counts.min() <= 1
    assert len(taken) == views * min(batch, views)


def test_no_batch_holds_a_view_twice():
    sampler = ViewSampler(5, 3, 0)
    for _ in range(50):
        assert len(set(sampler.next().tolist())) == 3


def test_the_same_seed_gives_the_same_views():
    first, second = ViewSampler(7, 2, 3), ViewSampler(7, 2, 3)
    assert [first.next().tolist() for _ in range(9)] == [second.next().tolist() for _ in range(9)]


@pytest.mark.parametrize(("batch", "halves"), [(5, [2, 1, 1]), (1, [1])])
def test_a_batch_is_halved_down_to_one_view(batch, halves):
    sampler = ViewSampler(5, batch, 0)
    for expected in halves:
        before = sampler.batch
        assert sampler.halve() == before
        assert len(sampler.next()) == sampler.batch == expected
