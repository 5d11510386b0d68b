"""What is meant by pointing: the thing, or a part of it, by what is selected and how near one has come."""

import pytest
import torch

from fasttext2style.selection.clicks import ClickSelector
from fasttext2style.selection.pointed import Pointer, select_pointed
from fasttext2style.selection.selection import Selection
from tests.ball import BALL, ball_on_floor, capture_cameras

SCENE = ball_on_floor()
ON_THE_BALL, ON_THE_FLOOR = (SCENE.means[int(far.argmax())] for far in (SCENE.means[:BALL, 2], SCENE.means.norm(dim=1)))
"""The latter away from the ball, whose foot would be taken for it."""
FROM_AFAR, FROM_NEAR = 2.0, 0.1
"""Height of what is seen: with the ball (diameter 0.6) in it as a whole, or hardly more than a part of it."""
NOTHING = torch.zeros(300)


@pytest.fixture(scope="module")
def selector() -> ClickSelector:
    return ClickSelector(SCENE, capture_cameras())


def _pointed(selector, present, point, height, takes_away=False) -> torch.Tensor:
    pointer = Pointer(point, height, size=0.5)
    return select_pointed(SCENE, selector, Selection(present, "present"), pointer, takes_away).mask


def _is_a_part(found: torch.Tensor, point: torch.Tensor, height: float) -> bool:
    """Half as wide as what is seen is high."""
    distances = (SCENE.means[found] - point).norm(dim=1)
    return bool(found.any()) and float(distances.max()) < 0.5 * height / 2


@pytest.mark.parametrize("height", [FROM_AFAR, FROM_NEAR])
def test_where_nothing_is_selected_the_thing_is_meant_from_afar_and_near(selector, height):
    found = _pointed(selector, NOTHING, ON_THE_BALL, height)
    assert found[:BALL].float().mean() > 0.95 and not found[BALL:].any()


@pytest.mark.parametrize("count", [1, 150])
def test_where_something_is_selected_a_part_is_meant_from_near(selector, count):
    """However little that is."""
    present = NOTHING.clone()
    present[300 - count :] = 1.0
    assert _pointed(selector, present, ON_THE_BALL, FROM_AFAR)[:BALL].float().mean() > 0.95
    assert _is_a_part(_pointed(selector, present, ON_THE_BALL, FROM_NEAR), ON_THE_BALL, FROM_NEAR)


OBJECTS = [
    *((ON_THE_BALL, slice(0, last)) for last in (BALL, BALL + 15)),
    *((ON_THE_FLOOR, slice(first, 300)) for first in (BALL, 100)),
]


@pytest.mark.parametrize("point, rows", OBJECTS)
def test_from_the_object_itself_a_part_is_taken_away_also_from_afar(selector, point, rows):
    """The ball stands free: with less than a tenth beside it, it is the object. Of the floor nothing tells where it
    ends: what looks alike is the object if it is the larger part of it."""
    present = NOTHING.clone()
    present[rows] = 1.0
    assert _is_a_part(_pointed(selector, present, point, FROM_AFAR, takes_away=True), point, FROM_AFAR)


def test_another_thing_that_was_selected_with_the_object_is_taken_away_as_a_whole(selector):
    present = NOTHING.clone()
    present[: BALL + 20] = 1.0  # an eighth of it is floor
    found = _pointed(selector, present, ON_THE_BALL, FROM_AFAR, takes_away=True)
    assert found[:BALL].float().mean() > 0.95 and not found[BALL:].any()
    present[100:] = 1.0
    present[:100] = 0.0
    found = _pointed(selector, present, ON_THE_BALL, FROM_AFAR, takes_away=True)
    assert found[:BALL].float().mean() > 0.95
