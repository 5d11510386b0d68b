"""What an object looks like, in a word or two: by its hue, in light and in shade."""

import pytest
import torch

from fasttext2style.live.looks import look_of, name_of_colors
from fasttext2style.scene.gaussians import SH_C0
from tests.ball import ball_on_floor
from tests.selection.shared_scenes import toy


@pytest.mark.parametrize(
    ("color", "name"),
    [((12, 12, 12), "black"), ((128, 128, 128), "grey"), ((245, 245, 245), "white"), ((215, 22, 22), "red"),
     ((105, 12, 15), "red"), ((242, 125, 18), "orange"), ((115, 68, 34), "brown"), ((180, 135, 85), "brown"),
     ((230, 200, 40), "yellow"), ((34, 150, 45), "green"), ((60, 100, 150), "blue"), ((120, 30, 165), "purple")],
)  # fmt: skip
def test_a_color_is_called_what_people_call_it(color, name):
    assert name_of_colors(torch.tensor([color]) / 255, torch.ones(1)) == name


def test_two_colors_are_two_words_and_many_are_one():
    red, white, black = (torch.tensor(it).expand(50, 3) for it in ([0.8, 0.1, 0.1], [0.95] * 3, [0.02] * 3))
    assert name_of_colors(torch.cat([red, white]), torch.ones(100)) in ("red and white", "white and red")
    assert name_of_colors(torch.cat([white, black]), torch.ones(100)) in ("white and black", "black and white")
    mostly = torch.cat([torch.ones(50), torch.full((50,), 0.1)])
    assert name_of_colors(torch.cat([red, white]), mostly) == "red"
    hues = torch.tensor(
        [[0.8, 0.1, 0.1], [0.9, 0.5, 0.1], [0.9, 0.9, 0.1], [0.1, 0.6, 0.2], [0.1, 0.2, 0.9], [0.5, 0.1, 0.6]]
    )
    assert name_of_colors(hues, torch.ones(6)) == "colorful"


@pytest.mark.parametrize(("color", "name"), [((1.4, -0.5, -0.3), "red"), ((-0.9, -0.2, -0.3), "black")])
def test_a_color_beyond_what_a_screen_shows_is_called_as_it_is_seen(color, name):
    scene = ball_on_floor()
    scene.sh_dc[:] = (torch.tensor(color) - 0.5) / SH_C0
    assert look_of(scene, torch.ones(len(scene))) == name


@pytest.mark.parametrize(
    ("rows", "name"),
    [(slice(0, 17_000), "grey"), (slice(17_000, 19_200), "red and white"), (slice(19_200, 20_900), "blue")],
)
def test_the_embedded_scenes_things_are_called_by_their_colors(rows, name):
    """A granite bear; a beach ball, whose white is grey in the shade; a crate."""
    weights = torch.zeros(len(toy().gaussians))
    weights[rows] = 1.0
    assert look_of(toy().gaussians, weights) == name
