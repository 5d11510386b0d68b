"""A pattern's frequency is where the picture shows it, and stays when the camera turns."""

from __future__ import annotations

import math

import pytest
import torch

from fasttext2style.evaluation.pattern_frequency import pattern_of, patterns_agree
from fasttext2style.scene.cameras import Cameras

SIDE = 96
ROWS, COLUMNS = torch.meshgrid(torch.arange(SIDE).float(), torch.arange(SIDE).float(), indexing="ij")
DISC = ((ROWS - 47.5).square() + (COLUMNS - 47.5).square() < 40**2).float()[..., None]


def shown(brightness):
    return (brightness[..., None].expand(-1, -1, 3) * DISC).clamp(0, 1)


def stripes(cycles, degrees=0.0, contrast=0.3):
    angle = math.radians(degrees)
    along = COLUMNS * math.cos(angle) + ROWS * math.sin(angle)
    return 0.5 + contrast * torch.sin(2 * math.pi * cycles * along / SIDE)


@pytest.mark.parametrize("cycles", [6, 10, 20])
@pytest.mark.parametrize("degrees", [0, 33, 90])
def test_stripes_have_their_own_frequency_whatever_their_direction(cycles, degrees):
    pattern = pattern_of(shown(stripes(cycles, degrees)), DISC)
    assert pattern.frequency == pytest.approx(cycles, rel=0.1)
    assert pattern.share > 0.5


def test_shading_and_the_outline_are_no_pattern():
    shaded = 0.2 + 0.6 * COLUMNS / SIDE
    assert pattern_of(shown(shaded), DISC).contrast < 0.1 * pattern_of(shown(stripes(10)), DISC).contrast
    pattern = pattern_of(shown(shaded + stripes(10, contrast=0.1) - 0.5), DISC)
    assert pattern.frequency == pytest.approx(10, rel=0.1)


def test_of_two_patterns_it_is_the_stronger_one():
    both = stripes(7, contrast=0.1) + stripes(18, contrast=0.2) - 0.5
    assert pattern_of(shown(both), DISC).frequency == pytest.approx(18, rel=0.1)


def test_a_plain_object_has_none():
    assert math.isnan(pattern_of(shown(torch.full((SIDE, SIDE), 0.5)), DISC).frequency)


def test_pictures_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match="square"):
        pattern_of(torch.zeros(8, 9, 3), torch.ones(8, 9, 1))


@pytest.mark.parametrize("turn, painted, least, most", [(15, True, 0.9, 1.0), (15, False, -0.4, 0.4)])
def test_a_pattern_that_is_painted_on_survives_a_turn_of_the_camera(turn, painted, least, most):
    """A wall with stripes of 12 cycles a unit, seen at a slant; or stripes that each picture has for itself."""
    cameras = Cameras.concatenated(
        [Cameras.orbit((0, 0, 0), 2.0, 1, SIDE, SIDE, 40.0, 0.0, start_degrees=degrees) for degrees in (0.0, turn)]
    )
    # The plane x = 0: a ray from a camera's centre meets it where its x has gone down to 0.
    rotations, shifts = cameras.viewmats[:, :3, :3], cameras.viewmats[:, :3, 3]
    centers = -torch.einsum("vji,vj->vi", rotations, shifts)
    square = torch.stack([COLUMNS + 0.5, ROWS + 0.5, torch.ones_like(ROWS)], -1)
    local = torch.einsum("vij,hwj->vhwi", cameras.Ks.inverse(), square)
    rays = torch.einsum("vji,vhwj->vhwi", rotations, local)
    depths = -centers[:, None, None, 0] / rays[..., 0]
    sideways = (centers[:, None, None] + depths[..., None] * rays)[..., 1]
    brightness = 0.5 + 0.3 * torch.sin(2 * math.pi * 12 * sideways)
    if not painted:
        brightness = torch.stack([stripes(16), stripes(16, 90)])
    images = brightness[..., None].expand(-1, -1, -1, 3) * DISC
    agree = patterns_agree(images, DISC.expand(2, -1, -1, -1), depths, cameras)
    assert least <= agree <= most
    if painted:
        first, second = (pattern_of(image, DISC).frequency for image in images)
        assert first == pytest.approx(12 * 2 * 2.0 * math.tan(math.radians(20)), rel=0.1)
        assert second == pytest.approx(first * math.cos(math.radians(turn)) ** -1, rel=0.15)
