"""Settings of rounds that no round could follow are refused, by name."""

import pytest

from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.modes import MODES

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize("mode", MODES)
def test_the_defaults_are_fine(mode):
    RoundsConfig().check(mode)


@pytest.mark.parametrize(
    ("part", "settings", "message"),
    [
        ("schedule", {"rounds": 0}, "at least 1 round"),
        ("schedule", {"choice": "best"}, "schedule.choice is one of turn, order, coverage, residual; got 'best'"),
        ("edit", {"strength": (0.9, 0.5)}, r"low <= high <= 1, got \(0.9, 0.5\)"),
        ("edit", {"strength": (0.0, 0.5)}, "0 < low"),
        ("edit", {"strength": (0.5, 1.5)}, "high <= 1"),
        ("edit", {"strength": (NAN, 1.0)}, "strength"),
        ("edit", {"steps": 0}, "at least 1 step, got 0"),
        ("edit", {"guidance": -1.0}, "guidance -1.0"),
        ("edit", {"image_guidance": NAN}, "image guidance nan"),
        ("edit", {"negative": "bl\udcfcrry"}, r"edit.negative holds '\\udcfc' at character 3.*UTF-8"),
        ("edit", {"condition": "photo"}, "edit.condition is one of original, render, photograph"),
        ("losses", {"lpips_weight": -0.1}, "losses.lpips_weight must be 0 or more, got -0.1"),
        ("losses", {"text_weight": INFINITE}, "losses.text_weight"),
        ("losses", {"photometric_weight": 0.0, "lpips_weight": 0.0}, "are 0: set losses"),
        ("losses", {"photometric": "l3"}, "losses.photometric is one of l1, charbonnier"),
        ("keep", {"quality": 0}, "quality of jpg and webp is 1 to 100, got 0"),
        ("keep", {"quality": 101}, "got 101"),
        ("keep", {"views": -1}, "keep.views must be 0 .all. or more, got -1"),
        ("keep", {"format": "gif"}, "keep.format is one of png, jpg, webp"),
    ],
)
def test_settings_that_make_no_sense_are_refused(part, settings, message):
    config = RoundsConfig()
    for name, value in settings.items():
        setattr(getattr(config, part), name, value)
    with pytest.raises(ValueError, match=message):
        config.check("restyle")


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match="no mode 'repaint'; modes are restyle, replace, remove"):
        RoundsConfig().check("repaint")
