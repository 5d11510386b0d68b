"""Skies that come with the program: as their models say, in the axes of panoramas, with light that a file can keep."""

import math

import pytest
import torch

from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.skies import AZIMUTH_DEGREES, DAYS, SKIES, daylight, irradiance, overcast, sky
from fasttext2style.envmaps.sphere import directions
from fasttext2style.envmaps.tones import luminance, to_display

ALONG = directions(128, 256)


@pytest.mark.parametrize("name", SKIES)
def test_a_sky_is_a_panorama_that_a_screen_can_show_and_a_file_keeps(name, tmp_path):
    """Neither black nor white, and written with a common exponent it loses nothing that one sees."""
    light = sky(name, 64)
    assert light.shape == (64, 128, 3) and light.dtype == torch.float32 and torch.isfinite(light).all()
    seen = to_display(light)
    assert 0.1 < float(seen[:32].mean()) < 0.9 and float((seen[:32].amin(dim=-1) >= 1).float().mean()) < 0.35
    write_panorama(tmp_path / "sky.hdr", light)
    torch.testing.assert_close(to_display(read_panorama(tmp_path / "sky.hdr")), seen, rtol=0, atol=0.03)


@pytest.mark.parametrize(("name", "elevation"), [("clear noon", 55.0), ("golden hour", 12.0), ("sunset", 2.0)])
def test_the_sun_stands_where_it_is_said_to(name, elevation):
    up, around = math.radians(elevation), math.radians(AZIMUTH_DEGREES)
    sun = torch.tensor([math.cos(up) * math.cos(around), math.cos(up) * math.sin(around), math.sin(up)])
    brightest = ALONG.reshape(-1, 3)[int(luminance(sky(name, 128)).argmax())]
    assert float(brightest @ sun.double()) > math.cos(math.radians(2.5))


def test_a_clear_sky_is_blue_away_from_the_sun_and_brightest_around_it():
    light = daylight(ALONG, DAYS["clear noon"])
    red, green, blue = light[40, 200]
    assert blue > 1.5 * red and blue > green
    assert float(luminance(light[30, 100])) > 1.5 * float(luminance(light[30, 228]))


def test_an_overcast_zenith_is_three_times_as_bright_as_the_horizon():
    light = luminance(overcast(ALONG))
    torch.testing.assert_close(light[0, 0] / light[63, 0], torch.tensor(3.0, dtype=light.dtype), rtol=0.03, atol=0)


def test_an_even_light_of_1_gives_pi_on_the_ground():
    expected = torch.full((3,), math.pi, dtype=torch.float64)
    torch.testing.assert_close(irradiance(ALONG, torch.ones_like(ALONG)), expected, rtol=1e-3, atol=0)


def test_a_sunset_is_warmer_than_noon_and_a_night_is_dark():
    noon, evening, night = (sky(name, 64)[28:32].mean(dim=(0, 1)) for name in ("clear noon", "sunset", "night"))
    assert evening[0] / evening[2] > 1.3 * noon[0] / noon[2] and float(night.max()) < 0.1


def test_an_unknown_sky_is_refused_in_words():
    with pytest.raises(ValueError, match="no sky called 'plaid'; there are clear noon, golden hour"):
        sky("plaid")
