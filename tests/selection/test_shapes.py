"""Boxes and balls."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.shapes import select_box, select_sphere


def at(means: torch.Tensor) -> Gaussians:
    count = len(means)
    return Gaussians(
        means,
        torch.ones(count, 4),
        torch.zeros(count, 3),
        torch.zeros(count),
        torch.zeros(count, 3),
        torch.zeros(count, 0, 3),
    )


def test_a_box_contains_what_one_expects_by_hand():
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1.001, 0, 0], [0, -1, 1], [0, 0, 1.1]])
    assert select_box(at(points), (0, 0, 0), (2, 2, 2)).weights.tolist() == [1, 1, 0, 1, 0]
    assert select_box(at(points), (0.5, 0, 0.0), (1, 0.5, 9)).weights.tolist() == [1, 1, 0, 0, 1]


def test_a_turned_box_reaches_into_the_corner_that_a_straight_one_has_not():
    quarter = torch.from_numpy(Rotation.from_euler("z", 45, degrees=True).as_matrix()).float()
    points = at(torch.tensor([[1.3, 0.0, 0.0], [0.95, 0.95, 0.0]]))
    assert select_box(points, (0, 0, 0), (2, 2, 2)).weights.tolist() == [0, 1]
    assert select_box(points, (0, 0, 0), (2, 2, 2), quarter).weights.tolist() == [1, 0]


@given(seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_turning_scene_and_box_together_changes_nothing(seed):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(200, 3, generator=generator)
    turn = torch.from_numpy(Rotation.random(random_state=seed).as_matrix()).float()
    box = torch.from_numpy(Rotation.random(random_state=seed + 1).as_matrix()).float()
    center = 0.3 * torch.randn(3, generator=generator)  # among the points, so that the box catches some
    before = select_box(at(points), center, (1.0, 2.0, 3.0), box).weights
    after = select_box(at(points @ turn.T), turn @ center, (1.0, 2.0, 3.0), turn @ box).weights
    # Rounding may flip a point that lies on the surface.
    assert (before != after).sum() <= 1
    assert 0 < before.sum() < 200


def test_a_ball_is_the_points_within_its_radius():
    points = torch.randn(300, 3)
    selection = select_sphere(at(points), torch.tensor([0.5, 0.0, 0.0]), 1.2)
    expected = ((points - torch.tensor([0.5, 0, 0])) ** 2).sum(dim=1) <= 1.2**2
    assert torch.equal(selection.mask, expected)
    assert selection.origin == "sphere at (0.5, 0, 0), radius 1.2"


def test_shapes_without_volume_are_refused():
    scene = at(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="sides of a box are positive"):
        select_box(scene, (0, 0, 0), (1, 0, 1))
    with pytest.raises(ValueError, match="orthonormal"):
        select_box(scene, (0, 0, 0), (1, 1, 1), 2 * torch.eye(3))
    with pytest.raises(ValueError, match="determinant 1"):
        select_box(scene, (0, 0, 0), (1, 1, 1), torch.diag(torch.tensor([1.0, 1.0, -1.0])))
    for radius in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="radius of a sphere is positive"):
            select_sphere(scene, (0, 0, 0), radius)
    for center in ((0, float("nan"), 0), (float("inf"), 0, 0)):
        with pytest.raises(ValueError, match="three numbers"):
            select_sphere(scene, center, 1.0)
        with pytest.raises(ValueError, match="three numbers"):
            select_box(scene, center, (1, 1, 1))
