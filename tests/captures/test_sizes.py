"""Any size: a picture and its camera are scaled by one rule."""

from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.captures.photographs import scaled_size


def test_every_longest_side_is_scaled_to_the_limit_exactly():
    """In 32 bits a quarter of these lost a pixel, and nerfstudio stopped."""
    for limit in (100, 256, 511, 1600):
        for longest in range(limit, 9000, 7):
            assert max(scaled_size(longest, longest // 2 + 1, longest=limit)) == limit


@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000), limit=st.integers(1, 5000))
def test_a_scaled_picture_keeps_its_format_to_a_pixel(width, height, limit):
    across, down = scaled_size(width, height, longest=limit)
    assert 1 <= across <= min(width, limit) and 1 <= down <= min(height, limit)
    scale = min(1.0, limit / max(width, height))
    assert across - 1 <= width * scale < across + 1 or across == 1
    assert down - 1 <= height * scale < down + 1 or down == 1


@given(width=st.integers(1, 9000), height=st.integers(1, 9000))
def test_without_a_limit_nothing_is_scaled(width, height):
    assert scaled_size(width, height) == (width, height)


def test_half_of_an_odd_side_is_rounded_down():
    assert scaled_size(501, 333, scale=0.5) == (250, 166)
    assert scaled_size(500, 333, longest=256) == (256, 170)
