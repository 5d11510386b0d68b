"""A selection that looks wrong is questioned in words; one that looks right is not."""

import pytest
import torch
from shared_scenes import ball, blobs, disc, orbit, toy

from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection.doubts import doubts

torch.manual_seed(0)  # the balls are drawn
FLOOR, THING = disc(3, 0, 4000), ball(0.4, 0.6, 1500)
SCENE = blobs(torch.cat([FLOOR, THING]))
CAMERAS = orbit(0.6)
ON_THE_BALL = torch.cat([torch.zeros(4000), torch.ones(1500)])


def _said(weights: torch.Tensor, cameras: Cameras = CAMERAS, scene=SCENE) -> str:
    return " | ".join(doubts(scene, cameras, weights))


def test_a_free_ball_seen_from_all_around_raises_no_doubt():
    assert _said(ON_THE_BALL) == ""


def test_the_statue_of_the_demo_raises_none():
    scene = toy(1)
    assert doubts(scene.gaussians, scene.train_cameras, scene.object_weights) == []


def test_few_gaussians_are_questioned():
    few = torch.zeros(5500)
    few[4000 + SCENE.means[4000:, 2].argsort(descending=True)[:40]] = 1.0
    assert "very small: 40 of 5,500 Gaussians" in _said(few)


def test_nearly_everything_is_questioned():
    nearly = torch.ones(5500)
    nearly[:200] = 0.0
    assert "nearly all that there is: 5,300 of 5,500" in _said(nearly)


def test_pieces_are_counted():
    torch.manual_seed(2)
    two = blobs(torch.cat([FLOOR, ball(0.25, 0.6, 800) - torch.tensor([0.8, 0, 0]), ball(0.25, 0.6, 800)]))
    weights = torch.cat([torch.zeros(4000), torch.ones(1600)])
    assert "in 2 pieces" in _said(weights, scene=two)


def test_what_the_frame_cuts_is_questioned():
    near = Cameras.orbit((0, 0, 0.6), 0.75, 12, 96, 96, elevation_degrees=20.0)
    assert "cut off by the edge of the picture in 12 of 12" in _said(ON_THE_BALL, near)


def test_one_side_is_said_with_its_angle():
    half = Cameras.concatenated(
        [Cameras.orbit((0, 0, 0.6), 2.0, 1, 96, 96, elevation_degrees=30.0, start_degrees=10.0 * a) for a in range(10)]
    )
    assert "seen from about 90 of 360 degrees" in _said(ON_THE_BALL, half)


@pytest.mark.parametrize("start", [0.0, 100.0, 200.0, 300.0])
@pytest.mark.parametrize("gap", [149.7, 150.3])
def test_a_gap_of_150_degrees_is_too_wide_wherever_one_begins_to_count(gap, start):
    """Of level views upon a thing whose middle is the circle's: as many points on this side of it as on that."""
    half = ball(0.4, 0.0, 400)
    thing = torch.cat([half, -half, torch.zeros(1, 3)]) + torch.tensor([0.0, 0.0, 0.6])
    step = (360 - gap) / 5
    cameras = Cameras.concatenated(
        [Cameras.orbit((0, 0, 0.6), 2.0, 1, 48, 48, elevation_degrees=0.0, start_degrees=start + number * step)
         for number in range(6)]
    )  # fmt: skip
    weights = torch.cat([torch.zeros(1000), torch.ones(801)])
    said = _said(weights, cameras, blobs(torch.cat([disc(3, 0, 1000), thing])))
    assert ("of 360 degrees around it" in said) == (gap > 150), said


def test_views_from_above_see_all_sides():
    above = Cameras.orbit((0, 0, 0.6), 2.0, 12, 96, 96, elevation_degrees=80.0)[:4]
    assert "degrees" not in _said(ON_THE_BALL, above)


def test_an_object_that_few_views_show_is_questioned():
    elsewhere = Cameras.orbit((0, 0, 30.0), 2.0, 12, 96, 96, elevation_degrees=30.0)
    assert "Only 6 of 18 photographs" in _said(ON_THE_BALL, Cameras.concatenated([CAMERAS.evenly(6), elsewhere]))


def test_what_no_view_shows_is_said():
    torch.manual_seed(1)
    closed = ball(0.4, 0.6, 9000)
    inside = blobs(torch.cat([FLOOR, closed, ball(0.05, 0.6, 300)]))
    hidden = torch.cat([torch.zeros(13_000), torch.ones(300)])
    assert "No photograph shows the object (300 Gaussians)" in _said(hidden, scene=inside)
