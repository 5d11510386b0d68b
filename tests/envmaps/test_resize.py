"""Another size, the same light."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.envmaps.resize import resized, shrunk
from fasttext2style.envmaps.sphere import directions, integral


def _noise(height, channels=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(height, 2 * height, channels, generator=generator, dtype=torch.float64) ** 8 * 1e4


@given(st.integers(1, 24), st.integers(1, 24))
def test_a_smaller_panorama_gives_the_same_light(height, smaller):
    panorama = _noise(height)
    found = resized(panorama, min(height, smaller))
    assert found.shape == (min(height, smaller), 2 * min(height, smaller), 2)
    torch.testing.assert_close(integral(found), integral(panorama), rtol=1e-9, atol=0)


def test_half_the_size_is_the_mean_over_solid_angles():
    panorama = torch.zeros(2, 4, 1)
    panorama[0] = torch.tensor([[1.0], [3], [5], [7]])
    # Both rows of 2 x 4 cover the same; one row of two pixels, each a mean of four.
    assert resized(panorama, 1).flatten().tolist() == pytest.approx([(1 + 3) / 4, (5 + 7) / 4])


def test_a_uniform_panorama_stays_uniform_at_any_size():
    for height in (1, 3, 5, 8, 13):
        torch.testing.assert_close(
            resized(torch.full((5, 10, 3), 2.5), height), torch.full((height, 2 * height, 3), 2.5)
        )


def test_a_larger_panorama_shows_the_same_directions():
    # Bilinear between pixels of 5.6 degrees: a cosine is straight to 1 - cos(2.8 degrees), in both directions.
    torch.testing.assert_close(resized(directions(32, 64), 100), directions(100, 200), rtol=0, atol=2.5e-3)


def test_a_smaller_panorama_shows_the_same_directions():
    mean = resized(directions(100, 200), 10)
    cosine = torch.nn.functional.cosine_similarity(mean, directions(10, 20), dim=-1)
    assert float(cosine.min()) > 0.99


@given(st.integers(1, 30), st.integers(1, 30))
def test_bands_give_what_the_whole_gives(rows, smaller):
    panorama = _noise(30)
    torch.testing.assert_close(shrunk(panorama.split(rows), 30, 60, smaller), shrunk([panorama], 30, 60, smaller))


def test_rows_that_are_missing_are_noticed():
    with pytest.raises(ValueError, match="30 rows in all, got 20"):
        shrunk([_noise(30)[:20]], 30, 60, 5)
