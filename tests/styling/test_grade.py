"""A grade of all Gaussians shows in every view what the same map of the picture's colours shows; soft and exact."""

import colorsys
import math
from dataclasses import replace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from fasttext2style.scene.gaussians import SH_C0
from fasttext2style.scene.rasterize import render
from fasttext2style.styling.grade import color_map, graded
from fasttext2style.styling.grade_settings import Grade
from tests.ball import ball_on_floor, capture_cameras
from tests.scene.random_scene import random_gaussians


def mapped(color, **changes) -> list[float]:
    """What becomes of one colour."""
    mapping = color_map(Grade(**changes))
    return (mapping[:, :3] @ torch.tensor(color, dtype=torch.float64) + mapping[:, 3]).tolist()


def close(color):
    return pytest.approx(color, abs=1e-6)


def test_what_can_be_checked_by_hand():
    assert mapped((0.2, 0.4, 0.6), brightness=0.5) == close([0.1, 0.2, 0.3])
    assert mapped((0.2, 0.5, 0.9), contrast=0.5) == close([0.35, 0.5, 0.7])
    assert mapped((1.0, 0.0, 0.0), hue_degrees=120.0) == close([0.0, 1.0, 0.0])
    assert mapped((0.0, 1.0, 0.0), hue_degrees=120.0) == close([0.0, 0.0, 1.0])
    assert mapped((1.0, 0.0, 0.0), saturation=0.0) == close([0.2126] * 3)
    assert mapped((0.3, 0.3, 0.3), saturation=2.0, hue_degrees=77.0) == close([0.3] * 3)
    red, green, blue = mapped((0.5, 0.5, 0.5), temperature=1.0)
    assert red > green > blue and 0.2126 * red + 0.7152 * green + 0.0722 * blue == close(0.5)
    shade = mapped((0.1, 0.8, 0.4), tint=1.0, tint_color=(0.8, 0.4, 0.2))
    assert [value / shade[0] for value in shade] == close([1.0, 0.5, 0.25])


@given(st.floats(-180, 180))
@settings(max_examples=30, deadline=None)
def test_hue_turns_as_the_hue_of_hsv_does_in_sixths(angle):
    """Between them, HSV's hexagon and a circle differ by at most 1.2 degrees for pure colours: 4 is generous."""
    color = mapped((1.0, 0.5, 0.5), hue_degrees=angle)
    hue = 360 * colorsys.rgb_to_hsv(*color)[0]
    assert min(abs(hue - angle % 360), 360 - abs(hue - angle % 360)) < 4


GRADES = st.builds(
    Grade,
    temperature=st.floats(-0.5, 0.5),
    brightness=st.floats(0.8, 1.1),
    contrast=st.floats(0.5, 1.1),
    saturation=st.floats(0.3, 1.2),
    hue_degrees=st.floats(-30, 30),
    tint=st.floats(0, 0.5),
)


@given(GRADES)
@settings(max_examples=10, deadline=None)
def test_a_picture_of_the_graded_scene_is_the_graded_picture(grade):
    """Also where colours depend on the view: all coefficients are mapped. Nothing is clipped on these scenes."""
    scene = ball_on_floor()
    scene = replace(scene, sh_rest=0.02 * torch.randn(scene.sh_rest.shape, generator=torch.Generator().manual_seed(1)))
    columns = graded(scene, torch.ones(len(scene)), grade)
    after = replace(scene, sh_dc=columns["features_dc"], sh_rest=columns["features_rest"])
    camera = capture_cameras()[:2]
    before, alphas, _ = render(scene, camera)
    mapping = color_map(grade).float()
    expected = before @ mapping[:, :3].T + alphas * mapping[:, 3]
    torch.testing.assert_close(render(after, camera)[0], expected, atol=2e-3, rtol=0)


def test_a_grade_that_does_nothing_changes_nothing():
    assert graded(ball_on_floor(), torch.ones(300), Grade()) == {} and Grade().is_neutral
    assert not Grade(opacity=0.5).is_neutral


def test_weights_are_respected_and_zero_keeps_every_bit():
    scene = random_gaussians(60, seed=3)
    weights = torch.linspace(0, 1, 60)
    weights[:10] = 0
    grade = Grade(hue_degrees=90.0, brightness=0.7, contrast=1.3, opacity=0.25)
    columns, whole = (graded(scene, it, grade) for it in (weights, torch.ones(60)))
    for name, before in (("features_dc", scene.sh_dc), ("features_rest", scene.sh_rest)):
        assert torch.equal(columns[name][:10], before[:10])
        share = weights.reshape(-1, *[1] * (before.ndim - 1))
        torch.testing.assert_close(columns[name], before + share * (whole[name] - before))
    assert torch.equal(columns["opacities"][:10, 0], scene.logit_opacities[:10])
    expected = scene.opacities * (1 - 0.75 * weights)
    torch.testing.assert_close(columns["opacities"][:, 0].sigmoid(), expected, atol=1e-4, rtol=0)
    assert columns.keys() == {"features_dc", "features_rest", "opacities"}, "nothing else is touched"


def test_invisible_is_finite_and_invisible():
    scene = ball_on_floor()
    logits = graded(scene, torch.ones(300), Grade(opacity=0.0))["opacities"]
    assert bool(logits.isfinite().all()) and float(logits.sigmoid().max()) < 1 / 255


def test_colors_are_where_spherical_harmonics_have_them():
    scene = ball_on_floor()
    grey = 0.5 + SH_C0 * scene.sh_dc[0]
    half = graded(scene, torch.ones(300), Grade(brightness=0.5))["features_dc"][0]
    torch.testing.assert_close(0.5 + SH_C0 * half, 0.5 * grey)


@pytest.mark.parametrize(
    "settings",
    [{"evenness": -0.1}, {"evenness": 1.1}, {"saturation": -0.1}, {"opacity": 1.1}, {"temperature": math.nan},
     {"temperature": -1.1}, {"tint": 1.1}, {"tint_color": (2.0, 0.0, 0.0)},
     {"tint": 0.5, "tint_color": (0.0, 0.0, 0.0)}],
)  # fmt: skip
def test_settings_outside_of_their_limits_are_refused(settings):
    with pytest.raises(ValueError, match=r"lies between|in \[0, 1\]|black"):
        graded(ball_on_floor(), torch.ones(300), Grade(**settings))
