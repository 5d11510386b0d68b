"""Anchors against plain loops: what each costs is stated in units one can check by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.guidance.anchors import needle_penalty, opacity_anchor, position_anchor, scale_anchor


def test_unchanged_parameters_cost_nothing():
    scales, opacities, means = torch.randn(9, 3), torch.randn(9), torch.randn(9, 3)
    assert scale_anchor(scales, scales) == 0
    assert needle_penalty(5 * scales, 5 * scales) == 0
    assert opacity_anchor(opacities, opacities) == 0
    assert position_anchor(means, means, scales.exp()) == 0


def test_scale_anchor_counts_squared_log_ratios():
    before = torch.zeros(1, 3)
    assert scale_anchor(torch.tensor([[1.0, 0.0, 0.0]]), before).item() == pytest.approx(1 / 3)
    # Twice as long costs what half as long costs.
    doubled = math.log(2) * torch.ones(1, 3)
    assert scale_anchor(doubled, before).item() == pytest.approx(scale_anchor(-doubled, before).item())


def test_needles_cost_and_discs_do_not():
    before = torch.zeros(1, 3)
    disc = torch.tensor([[0.0, 0.0, -9.0]])
    needle = torch.tensor([[3.0, 0.0, 0.0]])
    assert needle_penalty(disc, before, max_ratio=5.0) == 0
    assert needle_penalty(needle, before, max_ratio=5.0).item() == pytest.approx((3 - math.log(5)) ** 2)
    assert needle_penalty(needle, needle, max_ratio=5.0) == 0, "a needle of the original scene may stay one"
    with pytest.raises(ValueError, match=r"below 1"):
        needle_penalty(needle, before, max_ratio=0.5)


def test_a_gaussian_that_grows_as_a_whole_is_no_needle():
    before, needle = torch.zeros(1, 3), torch.tensor([[3.0, 0.0, -1.0]])
    assert needle_penalty(before + 4, before) == 0
    assert needle_penalty(needle + 4, before, max_ratio=5.0).item() == pytest.approx((3 - math.log(5)) ** 2)


def test_with_a_ratio_of_1_every_longer_axis_costs():
    before, needle = torch.zeros(1, 3), torch.tensor([[0.5, 0.0, -2.0]])
    assert needle_penalty(needle, before, max_ratio=1.0).item() == pytest.approx(0.25)


def test_opacity_anchor_counts_opacity_not_logits():
    change = opacity_anchor(torch.tensor([40.0]), torch.tensor([-40.0])).item()
    assert change == pytest.approx(1)
    assert opacity_anchor(torch.tensor([7.0]), torch.tensor([5.0])).item() < 1e-4


@given(st.floats(0.01, 100.0))
def test_position_anchor_does_not_depend_on_the_scenes_unit(unit):
    means, moved, scales = torch.randn(5, 3), torch.randn(5, 3), torch.rand(5, 3) + 0.1
    torch.testing.assert_close(
        position_anchor(unit * moved, unit * means, unit * scales),
        position_anchor(moved, means, scales),
        rtol=1e-4,
        atol=0,
    )


def test_position_anchor_of_a_move_by_ones_own_size_is_1():
    scales = torch.tensor([[0.1, 0.5, 0.2]])
    assert position_anchor(torch.tensor([[0.0, 0.5, 0.0]]), torch.zeros(1, 3), scales).item() == pytest.approx(1)


def test_weights_make_a_weighted_mean():
    now, before, weights = torch.randn(20, 3), torch.randn(20, 3), torch.rand(20)
    expected = np.average([np.mean((n - b) ** 2) for n, b in zip(now.numpy(), before.numpy())], weights=weights.numpy())
    assert scale_anchor(now, before, weights).item() == pytest.approx(expected, rel=1e-5)
    assert scale_anchor(now, before, torch.zeros(20)) == 0, "an empty selection has nothing to hold"


def test_gradients_agree_with_finite_differences():
    double = {"dtype": torch.float64}
    before = torch.randn(4, 3, **double)
    now = torch.randn(4, 3, **double).requires_grad_()
    assert torch.autograd.gradcheck(lambda n: needle_penalty(3 * n, before), now)
    assert torch.autograd.gradcheck(lambda n: position_anchor(n, before, before.exp()), now)
