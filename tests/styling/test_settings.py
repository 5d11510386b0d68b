"""Settings out of range are refused by name; the limits themselves are allowed."""

import math

import pytest

from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.styler import StylerConfig

ANCHORS = ("silhouette_anchor", "scale_anchor", "opacity_anchor", "position_anchor")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("every", value) for value in (0, -1)),
        *(("max_factor", value) for value in (0.99, -2.0, math.nan)),
        *(("gradient_threshold", value) for value in (-1e-9, math.nan)),
    ],
)
def test_growth_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^growth.{name} .*got {value}"):
        GrowthConfig(**{name: value}).check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, -1) for name in ("views_per_step", "render_size")),
        *(("crop_margin", value) for value in (0.0, -1.0, math.inf, math.nan)),
        *((name, value) for name in ANCHORS for value in (-1e-9, math.inf, math.nan)),
    ],
)
def test_a_style_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^styler.{name} .*got {value}"):
        StylerConfig(**{name: value}).check()


def test_a_style_that_trains_nothing_is_refused():
    with pytest.raises(ValueError, match="names no parameter group"):
        StylerConfig(train=()).check()


def test_the_limits_themselves_are_allowed():
    GrowthConfig(every=1, max_factor=1.0, gradient_threshold=0.0).check()
    StylerConfig(views_per_step=0, render_size=0, crop_margin=1e-6, **dict.fromkeys(ANCHORS, 0.0)).check()
    for settings in (GrowthConfig(), StylerConfig()):
        settings.check()
