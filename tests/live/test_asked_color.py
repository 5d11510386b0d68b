"""Which colour a sentence asks for, and how much of something would be called so."""

import pytest
import torch

from fasttext2style.live.asked_color import PlainColor, asked_color, plain_color, share_of, told_color
from tests.ball import BALL, ball_on_floor

BLUE = PlainColor("blue", (0.1, 0.2, 0.86))


@pytest.mark.parametrize(
    ("sentence", "color"),
    [
        *[(said, "blue") for said in ("blue", "a blue ball", "a blue crate", "a blue ball of ice", "blue denim")],
        *[("a bear made of gold", "gold"), ("an orange sunset", "orange"), ("a dark red bear", "dark red")],
        *[(said, None) for said in ("", "a bear made of ice", "red and white stripes", "a bear in a red scarf")],
        *[(said, None) for said in ("a bear with red eyes", "blue spots", "a red crate, then a blue one")],
    ],
)
def test_a_sentence_asks_for_one_color_of_the_whole_or_for_none(sentence, color):
    found = asked_color(sentence)
    assert (found and found.name) == color


def test_spots_of_a_color_are_no_plain_color():
    assert plain_color("blue spots") is None and plain_color("painted in blue") is not None


@pytest.mark.parametrize(
    ("color", "is_blue"),
    [((0.1, 0.2, 0.9), True), ((0.05, 0.1, 0.45), True), ((0.3, 0.6, 0.95), True), ((0.5, 0.1, 0.6), False),
     ((0.9, 0.1, 0.1), False), ((0.5, 0.5, 0.55), False), ((0.0, 0.6, 0.5), False), ((0.0, 0.0, 0.0), False)],
)  # fmt: skip
def test_blue_is_so_in_light_and_shade_and_violet_grey_and_teal_are_not(color, is_blue):
    assert share_of(torch.tensor([color]), torch.ones(1), BLUE) == float(is_blue)


@pytest.mark.parametrize(
    ("name", "level", "fits"),
    [("black", 0.1, True), ("black", 0.5, False), ("white", 0.95, True), ("white", 0.4, False), ("grey", 0.5, True)],
)
def test_of_greys_the_lightness_counts_and_a_tint_does_not_pass(name, level, fits):
    asked = asked_color(name)
    grey, tinted = torch.full((1, 3), level), torch.tensor([[level, level, 0.3 * level]])
    assert share_of(grey, torch.ones(1), asked) == float(fits) and share_of(tinted, torch.ones(1), asked) == 0


def test_a_share_is_by_weight():
    colors = torch.tensor([[0.1, 0.2, 0.9], [0.9, 0.1, 0.1]])
    assert share_of(colors, torch.tensor([3.0, 1.0]), BLUE) == 0.75


def test_what_did_not_become_what_was_asked_for_is_said():
    scene = ball_on_floor()
    ball, floor = ((torch.arange(len(scene)) < BALL) == first for first in (True, False))
    assert told_color("a green floor", scene, floor.float()) == ""
    assert "did not become green: nothing of it is" in told_color("make it green", scene, ball.float())
    assert told_color("a bear made of ice", scene, ball.float()) == ""
