"""What is painted over does not show through; light and shade, and what is not painted, stay."""

from dataclasses import replace

import pytest
import torch

from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.styling.evenness import even_factors
from fasttext2style.styling.grade import graded, one_color
from fasttext2style.styling.grade_settings import LUMA, Grade
from tests.scene.random_scene import random_gaussians

RED, WHITE, BLUE = (0.7, 0.1, 0.1), (0.9, 0.9, 0.9), (0.1, 0.2, 0.85)
ROWS, HALF = 400, 200
SHADE = torch.linspace(0.5, 1.0, HALF)
"""Of each half: the same light falls on both."""


def _striped(one, other) -> Gaussians:
    """Half of it of one colour, half of another, equally lit and opaque."""
    colors = torch.cat([SHADE[:, None] * torch.tensor(color) for color in (one, other)])
    scene = random_gaussians(ROWS, seed=1)
    opaque = torch.full_like(scene.logit_opacities, 2.0)
    return replace(scene, sh_dc=(colors - 0.5) / SH_C0, sh_rest=torch.zeros_like(scene.sh_rest), logit_opacities=opaque)


def evened(scene: Gaussians, weights: torch.Tensor, evenness: float) -> Gaussians:
    """What a grade with this and nothing else makes of it."""
    columns = graded(scene, weights, Grade(evenness=evenness))
    return replace(
        scene, sh_dc=columns.get("features_dc", scene.sh_dc), sh_rest=columns.get("features_rest", scene.sh_rest)
    )


def _luma(sh_dc: torch.Tensor) -> torch.Tensor:
    return (0.5 + SH_C0 * sh_dc) @ torch.tensor(LUMA)


def test_a_pattern_of_other_colors_is_as_light_everywhere_and_as_light_as_the_whole_was():
    scene = _striped(RED, WHITE)
    before, after = _luma(scene.sh_dc), _luma(evened(scene, torch.ones(ROWS), 1.0).sh_dc)
    one, other = after[:HALF].mean(), after[HALF:].mean()
    assert before[HALF:].mean() / before[:HALF].mean() > 3
    torch.testing.assert_close(one, other, rtol=0.03, atol=0)
    torch.testing.assert_close(after.mean(), before.mean(), rtol=0.03, atol=0)


@pytest.mark.parametrize("half", [slice(0, HALF), slice(HALF, ROWS)])
def test_light_and_shade_stay(half):
    """Half as much light was half as bright; it still is, within a tenth."""
    after = _luma(evened(_striped(RED, WHITE), torch.ones(ROWS), 1.0).sh_dc)[half]
    torch.testing.assert_close(after / after[-1], SHADE, rtol=0.1, atol=0)


def test_black_on_white_cannot_be_told_from_shade_and_stays():
    scene = _striped((0.2, 0.2, 0.2), WHITE)
    torch.testing.assert_close(_luma(evened(scene, torch.ones(ROWS), 1.0).sh_dc), _luma(scene.sh_dc), rtol=0.03, atol=0)


@pytest.mark.parametrize("weighted", [0.0, 0.5])
def test_a_paint_covers_stripes_by_weight_and_leaves_what_has_none(weighted):
    """Of the contrast between red and white stripes under blue paint a twentieth is left at most; it was all there."""
    scene, weights = _striped(RED, WHITE), torch.ones(ROWS)
    weights[::10] = weighted
    grade = one_color(scene, weights, BLUE)
    columns = graded(scene, weights, grade)
    plain = graded(scene, weights, replace(grade, evenness=0.0))
    painted, through = (0.5 + SH_C0 * it["features_dc"] for it in (columns, plain))
    whole = weights == 1

    def contrast(colors: torch.Tensor) -> float:
        one, other = (colors[half][whole[half]].mean(dim=0) for half in (slice(0, HALF), slice(HALF, ROWS)))
        return float((one - other).abs().max() / torch.maximum(one, other).max())

    assert contrast(through) > 0.5 and contrast(painted) < 0.05
    torch.testing.assert_close(painted[whole].mean(dim=0), torch.tensor(BLUE), rtol=0, atol=0.03)
    if weighted == 0:
        assert torch.equal(columns["features_dc"][::10], scene.sh_dc[::10]) and torch.equal(
            columns["features_rest"][::10], scene.sh_rest[::10]
        )
    else:
        fully = graded(scene, torch.where(weights > 0, 1.0, 0.0), grade)["features_dc"]
        between = columns["features_dc"][::10]
        assert bool(((between - scene.sh_dc[::10]) * (fully[::10] - between) >= -1e-3).all()), (
            "between before and after"
        )


def test_paint_leaves_light_and_shade_to_be_seen():
    """A pale colour on what is lit from one side: at most a quarter of it is as bright as a screen gets."""
    colors = torch.linspace(0.1, 1.0, ROWS)[:, None] * torch.tensor([0.6, 0.5, 0.4])
    scene = _striped(RED, WHITE)
    scene = replace(scene, sh_dc=(colors - 0.5) / SH_C0)
    painted = (
        0.5
        + SH_C0 * graded(scene, torch.ones(ROWS), one_color(scene, torch.ones(ROWS), (0.98, 0.9, 0.2)))["features_dc"]
    )
    clipped = (painted.amax(dim=1) > 1.001).float().mean()
    assert 0.15 < clipped <= 0.26, "by its mean alone it would be 0.4; dark all over it need not be"


@pytest.mark.parametrize("logit", [2.0, -2.0], ids=["solid", "faint"])
def test_of_an_object_of_luma_four_tenths_one_of_two_is_half_as_bright(logit):
    """Also where nothing of it is solid."""
    scene = _striped(RED, WHITE)
    grey, logits = torch.full_like(scene.sh_dc, 0.4), torch.full_like(scene.logit_opacities, logit)
    scene = replace(scene, sh_dc=(grey - 0.5) / SH_C0, logit_opacities=logits)
    assert one_color(scene, torch.ones(ROWS), (0.2, 0.2, 0.2)).brightness == pytest.approx(0.5, abs=0.01)


def test_evenness_is_by_degrees():
    scene = _striped(RED, WHITE)
    lumas = [_luma(evened(scene, torch.ones(ROWS), share).sh_dc)[:HALF].mean() for share in (0.0, 0.5, 1.0)]
    assert lumas[0] < lumas[1] < lumas[2]
    assert torch.equal(evened(scene, torch.ones(ROWS), 0.0).sh_dc, scene.sh_dc)
    assert not Grade(evenness=0.5).is_neutral


def test_the_factors_of_a_red_and_a_white_can_be_reckoned_by_hand():
    """Lumas 0.225 and 0.9, as much of each: the mean is 0.5625, by 2.5 and 0.625."""
    scene = _striped(RED, WHITE)
    flat = torch.tensor([RED, WHITE]).repeat_interleave(HALF, dim=0)
    factors = even_factors(replace(scene, sh_dc=(flat - 0.5) / SH_C0), torch.ones(ROWS), 1.0)
    luma = torch.tensor([RED, WHITE]) @ torch.tensor(LUMA)
    expected = (luma.mean() / luma).repeat_interleave(HALF)
    torch.testing.assert_close(factors, expected, rtol=1e-3, atol=0)


def test_what_depends_on_the_view_is_scaled_with_its_color():
    scene = _striped(RED, WHITE)
    scene = replace(scene, sh_rest=torch.ones_like(scene.sh_rest))
    after = evened(scene, torch.ones(ROWS), 1.0)
    factor = _luma(after.sh_dc) / _luma(scene.sh_dc)
    torch.testing.assert_close(after.sh_rest[:, 0, 0], factor, rtol=1e-3, atol=0)
