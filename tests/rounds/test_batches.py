"""What a training step looks at, with patches and without."""

import pytest
import torch

from fasttext2style.rounds.batches import Batches
from tests.rounds.fields import Pictures


@pytest.fixture(scope="module")
def views():
    return Pictures().views()


def _drawn(views, steps, patch, batch=16, train=(2, 5, 7), seed=0):
    batches = Batches(torch.tensor(train), views, batch, patch, seed)
    drawn = [batches.next() for _ in range(steps)]
    return torch.cat([it for it, _ in drawn]), torch.cat([boxes for _, boxes in drawn])


@pytest.mark.parametrize("patch, side", [(8, 8), (1, 1), (32, 32), (100, 32)])
def test_patches_are_squares_inside_the_pictures_of_the_views_that_are_trained_on(views, patch, side):
    chosen, boxes = _drawn(views, 50, patch)
    assert set(chosen.tolist()) == {2, 5, 7}
    assert ((boxes[:, 2:] - boxes[:, :2]) == side).all() and (boxes >= 0).all() and (boxes <= 32).all()


def test_every_place_and_view_is_as_probable():
    """25 x 25 places of three views; the mean of n uniform draws has a deviation of range / sqrt(12 n)."""
    chosen, boxes = _drawn(Pictures().views(), 250, 8)
    counts = torch.bincount(chosen, minlength=8)[[2, 5, 7]]
    assert (counts - 4000 / 3).abs().max() < 4 * (4000 * 2 / 9) ** 0.5
    for axis in (0, 1):
        assert set(boxes[:, axis].tolist()) == set(range(25))
        assert abs(float(boxes[:, axis].float().mean()) - 12) < 4 * 25 / (12 * 4000) ** 0.5


def test_a_view_may_have_several_patches_of_a_step_and_there_are_as_many_as_asked_for(views):
    chosen, boxes = _drawn(views, 1, 8, batch=16)
    assert len(chosen) == len(boxes) == 16


def test_the_seed_says_what_is_drawn(views):
    first, again, other = (_drawn(views, 3, 8, seed=seed)[1] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_without_patches_each_view_comes_once_per_epoch_in_its_own_box(views):
    chosen, boxes = _drawn(views, 3, 0, batch=1)
    assert sorted(chosen.tolist()) == [2, 5, 7] and torch.equal(boxes, views.boxes[chosen])
