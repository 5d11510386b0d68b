"""Exposure and curves: values of their definitions, and that each can be taken back."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2xyz

from fasttext2style.envmaps.tones import (
    exposed,
    from_curve,
    from_display,
    log_decode,
    log_encode,
    luminance,
    middle_exposure,
    pu21_decode,
    pu21_encode,
    to_curve,
    to_display,
)

POSITIVE = st.floats(1e-6, 1e6)


def test_a_stop_doubles():
    assert exposed(torch.tensor([0.5, 1, 3]), 2).tolist() == [2, 4, 12]


def test_luminance_is_that_of_skimage():
    colors = torch.rand(50, 3, dtype=torch.float64)
    expected = rgb2xyz(to_display(colors).numpy())[:, 1]
    np.testing.assert_allclose(luminance(colors).numpy(), expected, atol=1e-3)


def test_srgb_has_the_values_of_its_standard():
    # IEC 61966-2-1: middle grey 0.18 is 0.4614, 0.5 is 0.7354; the straight part ends at 0.0031308 (0.0404).
    shown = to_display(torch.tensor([0, 0.18, 0.5, 1, 7, 0.0031308], dtype=torch.float64))
    assert shown.tolist() == pytest.approx([0, 0.46136, 0.73536, 1, 1, 0.04045], abs=1e-4)


@given(st.floats(0, 1))
def test_display_colours_come_back(value):
    colors = torch.tensor([value], dtype=torch.float64)
    assert float(to_display(from_display(colors))) == pytest.approx(value, abs=1e-6)


def test_the_gradient_of_black_is_finite():
    black = torch.zeros(3, requires_grad=True)
    to_display(black).sum().backward()
    assert black.grad.tolist() == pytest.approx([12.92] * 3)


@given(st.floats(0, 1e5), st.sampled_from([1.0, 100.0, 1e4]))
def test_the_logarithm_can_be_taken_back(value, gain):
    radiance = torch.tensor(value, dtype=torch.float64)
    assert float(log_decode(log_encode(radiance, gain), gain)) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_the_logarithm_goes_from_0_to_1():
    assert log_encode(torch.tensor([0.0, 65504.0])).tolist() == pytest.approx([0, 1])


def test_pu21_has_the_values_that_its_authors_give():
    """0.005 nits are 0; 100, the white of a screen, is 256 by design; 10,000 are about 595 (gfxdisp/pu21)."""
    found = pu21_encode(torch.tensor([0.005, 100, 10000, 1e9, 0], dtype=torch.float64)).tolist()
    assert found == pytest.approx([0, 256, 595.4, 595.4, 0], abs=0.5)


@given(st.floats(0.005, 1e4))
def test_pu21_can_be_taken_back(value):
    nits = torch.tensor(value, dtype=torch.float64)
    assert float(pu21_decode(pu21_encode(nits))) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("units", [-50.0, 0.0, 596.0, 1e6])
def test_pu21_of_any_units_is_light(units):
    # In float32: 0.005 itself lies a little below.
    assert 0.005 * (1 - 1e-6) <= float(pu21_decode(torch.tensor(units))) <= 1e4 * (1 + 1e-6)


def test_the_middle_exposure_is_of_the_sphere_and_not_of_pixels():
    """Two thirds of the rows are black, around the poles: they cover half of the sphere."""
    panorama = torch.zeros(600, 1200, 3)
    panorama[200:400] = 0.72  # from 60 degrees to 120: sin(30 degrees) of the height, half of it
    panorama[:200] = panorama[400:] = 0.09
    panorama[199:401] = 0.72  # a little more than half
    assert middle_exposure(panorama) == pytest.approx(-2.0)  # 0.72 is two stops above 0.18
    assert middle_exposure(torch.zeros(4, 8, 3)) == 0.0


@given(POSITIVE)
def test_the_middle_exposure_makes_grey_of_any_uniform_light(value):
    panorama = torch.full((4, 8, 3), value, dtype=torch.float64)
    grey = exposed(panorama, middle_exposure(panorama))
    assert float(grey.mean()) == pytest.approx(0.18, rel=1e-6) and math.isfinite(float(grey.sum()))


@pytest.mark.parametrize("curve", ["pu21", "log"])
def test_curves_of_networks_are_known_at_black_and_white_and_come_back(curve):
    radiance = torch.tensor([0.0, 1.0, 100.0], dtype=torch.float64)
    values = to_curve(radiance, curve)
    expected = {"pu21": [-1.0, 1.0, 3.65], "log": [-1.0, 1.0, 2.99]}[curve]
    assert values.tolist() == pytest.approx(expected, abs=0.01)
    light = torch.logspace(-3, 2, 50, dtype=torch.float64)
    torch.testing.assert_close(from_curve(to_curve(light, curve), curve), light, rtol=1e-3, atol=1e-4)
    # A network may say anything.
    said = torch.tensor([-9.0, 99.0], requires_grad=True)
    beyond = from_curve(said, curve)
    beyond.sum().backward()
    assert said.grad is not None and bool(torch.isfinite(said.grad).all())
    beyond = beyond.detach()
    assert 0 <= float(beyond[0]) < 1e-4 and math.isfinite(float(beyond[1])) and float(beyond[1]) > 90
