"""What was drawn over a view covers the pixels whose middles lie inside of it."""

import pytest
import torch

from fasttext2style.selection.drawn import drawn_mask

WIDTH, HEIGHT = 40, 32
LEFT, RIGHT, TOP, BOTTOM = 0.3, 0.7, 0.125, 0.625
"""Of a rectangle around (20, 12), in pixels from 12 to 28 and from 4 to 20."""
DRAWN = {
    "rectangle": ([(RIGHT, TOP), (LEFT, BOTTOM)], 0.0, 16 * 16),
    "lasso": ([(LEFT, TOP), (RIGHT, TOP), (RIGHT, BOTTOM), (LEFT, BOTTOM)], 0.0, 16 * 16),
    "brush": ([(0.5, 0.375)], 0.5, 3.1416 * 8 * 8),
}
"""Points, size, and the area in pixels."""


@pytest.mark.parametrize("drawing", DRAWN)
def test_it_lies_where_it_was_drawn_and_is_as_large(drawing):
    points, size, area = DRAWN[drawing]
    rows, columns = drawn_mask(drawing, points, WIDTH, HEIGHT, size).nonzero().float().unbind(dim=1)
    # To half a pixel: which of two a line between them belongs to is nobody's business.
    assert float(columns.mean()) + 0.5 == pytest.approx(20, abs=0.6)
    assert float(rows.mean()) + 0.5 == pytest.approx(12, abs=0.6)
    assert len(rows) == pytest.approx(area, rel=0.15)


def test_a_rectangle_takes_the_pixels_whose_middles_it_holds():
    mask = drawn_mask("rectangle", [(0.6 / 8, 1.4 / 8), (3.4 / 8, 3.6 / 8)], 8, 8)
    expected = torch.zeros(8, 8)
    expected[1:4, 1:3] = 1.0  # middles 1.5 and 2.5 across, 1.5, 2.5 and 3.5 down
    assert torch.equal(mask, expected)


def test_what_holds_no_middle_of_a_pixel_is_nothing():
    with pytest.raises(ValueError, match="No pixel of the picture lies inside the rectangle"):
        drawn_mask("rectangle", [(0.1 / 8, 0.1 / 8), (0.4 / 8, 5 / 8)], 8, 8)
    with pytest.raises(ValueError, match="A lasso takes at least 3 points, got 2"):
        drawn_mask("lasso", [(0.1, 0.1), (0.9, 0.9)], 8, 8)
