"""A rectangle selects what shows inside it, and nothing that is hidden or beside it."""

import pytest
import torch

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.rectangle import select_rectangle


def _spots(*places: tuple[float, float, float]) -> Gaussians:
    """Opaque round Gaussians of radius 0.1."""
    means = torch.tensor(places)
    count = len(means)
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        log_scales=torch.full((count, 3), 0.1).log(),
        logit_opacities=torch.full((count,), 8.0),
        sh_dc=torch.zeros(count, 3),
        sh_rest=torch.zeros(count, 15, 3),
    )


def _camera(size: int = 64) -> Cameras:
    """Looks from the origin along z; one unit at depth 2 is 32 pixels."""
    K = torch.tensor([[64.0, 0.0, 32.0], [0.0, 64.0, 32.0], [0.0, 0.0, 1.0]])
    return Cameras(torch.eye(4)[None], K[None], size, size)


def test_what_is_inside_is_selected_what_is_beside_or_hidden_is_not():
    # Ten on one spot are opaque out to their rims; one stands on the right, one, smaller on the screen, behind the ten.
    scene = _spots(*[(-0.5, 0.0, 2.0)] * 10, (0.5, 0.0, 2.0), (-4.0, 0.0, 16.0))
    chosen = select_rectangle(scene, _camera(), (4, 20, 30, 44))
    assert chosen.weights[0] == 1.0
    assert chosen.weights[10:].tolist() == [0.0, 0.0]


def test_corners_may_be_given_in_any_order_and_reach_beyond_the_image():
    scene = _spots((-0.5, 0.0, 2.0), (0.5, 0.0, 2.0))
    chosen = select_rectangle(scene, _camera(), (90, 80, 33, -5))
    assert chosen.weights.tolist() == [0.0, 1.0]


def test_what_mostly_shows_outside_is_left_out():
    scene = _spots((0.0, 0.0, 2.0))
    assert select_rectangle(scene, _camera(), (0, 0, 36, 64)).count == 1
    with pytest.raises(ValueError, match="nothing solid"):
        select_rectangle(scene, _camera(), (0, 0, 28, 64))


def test_a_rectangle_needs_pixels_and_one_view():
    scene = _spots((0.0, 0.0, 2.0))
    with pytest.raises(ValueError, match="holds no pixel"):
        select_rectangle(scene, _camera(), (-20, 0, -5, 64))
    with pytest.raises(ValueError, match="holds no pixel"):
        select_rectangle(scene, _camera(), (0, float("nan"), 64, 64))
    everywhere = select_rectangle(scene, _camera(), (-float("inf"), 0, float("inf"), 64))
    assert everywhere.weights.tolist() == select_rectangle(scene, _camera(), (0, 0, 64, 64)).weights.tolist()
    two = Cameras(torch.eye(4).repeat(2, 1, 1), _camera().Ks.repeat(2, 1, 1), 64, 64)
    with pytest.raises(ValueError, match="one view, got 2"):
        select_rectangle(scene, two, (0, 0, 10, 10))
