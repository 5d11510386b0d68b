"""A change of light: smooth all around, and never a loss of suns that a screen would not show."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.envmaps.gains import (
    DARKEST,
    MOST_STOPS,
    Gains,
    doubled,
    light,
    lit,
    mean_square,
    total_variation,
)
from fasttext2style.envmaps.seam import seam_ratio


def _field(rows, seed=0, channels=3):
    return torch.randn(rows, 2 * rows, channels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _random_gains(rows, seed=1, size=0.5):
    gains, generator = Gains(rows, "pyramid"), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for field in gains.fields:
            field.copy_(size * torch.randn(field.shape, generator=generator))
    return gains


def test_a_doubled_field_is_known_by_hand():
    """The new pixel up left of the middle of four: 9/16 of its own, 3/16 of two neighbours, 1/16 across."""
    field = torch.zeros(4, 8, 1, dtype=torch.float64)
    field[1, 3] = 16
    twice = doubled(field)[..., 0]
    assert twice.shape == (8, 16)
    expected = torch.tensor([[1.0, 3, 3, 1], [3, 9, 9, 3], [3, 9, 9, 3], [1, 3, 3, 1]], dtype=torch.float64)
    torch.testing.assert_close(twice[1:5, 5:9], expected)
    assert float(twice.sum()) == pytest.approx(64), "nothing elsewhere"


def test_a_doubled_field_goes_on_around_the_sphere_and_across_its_poles():
    field = torch.zeros(4, 8, 1, dtype=torch.float64)
    field[0, 0] = 16
    twice = doubled(field)[..., 0]
    # Left of column 0 is the last one; above row 0 is row 0, half around: 8 columns further.
    assert twice[0, 0] == twice[0, 1] == 9 and twice[0, 15] == 3 and twice[0, 2] == 3
    assert twice[0, 8] == twice[0, 9] == 3 and twice[0, 7] == twice[0, 10] == 1
    assert float(twice.sum()) == pytest.approx(64)
    torch.testing.assert_close(doubled(_field(4).roll(3, dims=1)), doubled(_field(4)).roll(6, dims=1))
    torch.testing.assert_close(doubled(torch.full((4, 8, 3), 2.5)), torch.full((8, 16, 3), 2.5))


def test_turning_the_coarsest_field_turns_the_whole_change():
    """Yaw equivariance: by one pixel of 8 rows it is eight of 64."""
    gains, turned = Gains(64, "pyramid"), Gains(64, "pyramid")
    with torch.no_grad():
        for one, other in zip(gains.fields, turned.fields):
            one.copy_(_field(len(one)))
            other.copy_(one.roll(len(one) // 4, dims=1))
    torch.testing.assert_close(turned(), gains().roll(16, dims=1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("variables", ["pyramid", "pixels"])
def test_a_change_begins_at_nothing_is_bounded_and_can_be_learnt(variables):
    gains = Gains(32, variables)
    assert gains().shape == (32, 64, 3) and not gains().any()
    assert [len(field) for field in gains.fields] == ([4, 8] if variables == "pyramid" else [32])
    gains().sum().backward()
    assert all((field.grad > 0).all() for field in gains.fields)
    with torch.no_grad():
        gains.fields[0] += 1000
    assert float(gains().detach().max()) <= MOST_STOPS


@pytest.mark.parametrize("rows", [0, 8, 48])
def test_other_sizes_are_refused(rows):
    with pytest.raises(ValueError, match="16, 32, 64"):
        Gains(rows, "pyramid")


def test_light_is_changed_as_computed_by_hand():
    """At exposure 0, 1 is white. Half of it one stop darker: (0.5 + 1/128) / 2 - 1/128."""
    radiance = torch.tensor([[0.5, 0.5, 0.0], [4.0, 4.0, 1.0]])
    stops = torch.tensor([[-1.0, 1.0, 3.0], [-1.0, -4.0, 2.0]])
    # Of 4.0, four times white: one stop darker it still is white and stays; four stops darker it would be 0.243 of
    # white, and of its light so much is left.
    dark = 4 / 16 + DARKEST * (1 / 16 - 1)
    expected = torch.tensor([[0.5 / 2 - DARKEST / 2, 1.0, 7 * DARKEST], [4.0, 4 * dark, 1.0]])
    torch.testing.assert_close(lit(radiance, stops, 0.0), expected)
    # Twice the exposure of half the light is the same picture.
    torch.testing.assert_close(lit(radiance / 2, stops, 1.0), expected / 2)


@given(
    st.floats(0, 1e4, width=32),
    st.floats(-MOST_STOPS, MOST_STOPS, width=32),
    st.floats(-8, 8, width=32),
)
def test_light_stays_light_and_nothing_becomes_brighter_than_white(radiance, stops, exposure):
    before = torch.tensor([[radiance] * 3])
    after = lit(before, torch.full((1, 3), stops), exposure)
    white = 2.0**-exposure
    assert bool((after >= 0).all()) and bool((after <= torch.maximum(before, torch.tensor(white))).all())
    if stops == 0:
        assert torch.equal(after, before.clamp_min(0)) or float((after - before).abs().max()) <= 1e-6 * radiance
    if radiance >= white * 2**MOST_STOPS * (1 + DARKEST):
        assert torch.equal(after, before), "a sun keeps every bit"


def test_no_stops_change_no_bit():
    radiance = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 4
    assert torch.equal(lit(radiance, torch.zeros(50, 3), 0.3), radiance)


@given(st.floats(-MOST_STOPS, 0), st.floats(-4, 4))
def test_light_around_white_makes_no_step(stops, exposure):
    white = 2.0**-exposure
    around = torch.tensor([[white * (1 - 1e-9)] * 3, [white * (1 + 1e-9)] * 3], dtype=torch.float64)
    below, above = lit(around, torch.full((2, 3), stops, dtype=torch.float64), exposure)
    torch.testing.assert_close(below, above, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rows", [16, 130])
def test_a_panorama_of_any_size_is_changed_without_a_seam(rows):
    ratios = []
    for seed in range(8):  # by chance a border is a little rougher, or a little smoother, than other columns
        panorama = torch.full((rows, 2 * rows, 3), 0.2)
        light(panorama, _random_gains(64, seed)().detach(), 0.0)
        ratios.append(seam_ratio(panorama))
    assert sum(ratios) / len(ratios) <= 1.1 and max(ratios) < 1.5


def test_a_strength_is_a_share_of_the_stops():
    stops = _random_gains(64)().detach()
    before = torch.full((48, 96, 3), 0.2)
    panorama, untouched = before.clone(), before.clone()
    light(untouched, stops, 0.0, strength=0.0)
    assert torch.equal(untouched, before), "nothing of it"
    light(panorama, stops, 0.0)
    half = before.clone()
    light(half, stops, 0.0, strength=0.5)
    between = (half - before) * (panorama - before) >= 0
    assert bool(between.all()) and float((half - before).abs().mean()) < float((panorama - before).abs().mean())


def test_bands_of_rows_are_changed_like_the_whole():
    stops = _random_gains(128)().detach()
    panorama = torch.rand(128, 256, 3, generator=torch.Generator().manual_seed(3)) * 2
    expected = lit(panorama, stops, 0.5)
    light(panorama, stops, 0.5)
    torch.testing.assert_close(panorama, expected, rtol=1e-4, atol=1e-5)


def test_total_variation_of_two_halves_is_known_by_hand():
    """Two edges of length pi, from pole to pole, over 4 pi: 0.5; and one around the equator, of length 2 pi: 0.5."""
    field = torch.zeros(32, 64, 2, dtype=torch.float64)
    field[:, :32] = 1
    assert float(total_variation(field)) == pytest.approx(0.5)
    assert float(total_variation(field.roll(32, dims=1))) == pytest.approx(0.5), "one edge at the border"
    below = torch.zeros(32, 64, 2, dtype=torch.float64)
    below[16:] = 1
    assert float(total_variation(below)) == pytest.approx(0.5)


@given(st.integers(0, 63))
def test_total_variation_knows_no_border(turn):
    field = _field(32)
    assert float(total_variation(field.roll(turn, dims=1))) == pytest.approx(float(total_variation(field)))


def test_the_mean_square_is_over_the_sphere():
    """The upper half of the sphere at 2: 4 on one half."""
    field = torch.zeros(32, 64, 3)
    field[:16] = 2
    assert float(mean_square(field)) == pytest.approx(2.0)
    cap = torch.zeros(32, 64, 3)
    cap[0] = 1
    assert float(mean_square(cap)) == pytest.approx((1 - math.cos(math.pi / 32)) / 2, rel=1e-4)


def test_the_seam_ratio_is_known_by_hand():
    """Columns 0, 1, 2, 3: steps of 1, and of 3 across the border."""
    ramp = torch.arange(4.0).repeat(2, 1)[..., None]
    assert seam_ratio(ramp) == pytest.approx(3.0)
    assert seam_ratio(torch.ones(2, 4, 3)) == 1.0
    around = torch.tensor([0.0, 1, 2, 1])[None, :, None]
    assert seam_ratio(around) == pytest.approx(1.0)
