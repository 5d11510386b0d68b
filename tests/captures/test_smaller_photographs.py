"""Which of images, images_2, images_4 ... a capture is read from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from fasttext2style.captures import plain
from tests.plugin.hosts import make_capture


@pytest.fixture
def capture(tmp_path) -> Path:
    """Photographs of 48 pixels, and those of 24 of the first four."""
    folder = make_capture(tmp_path / "capture")
    (folder / "images_2").mkdir()
    for path in sorted((folder / "images").iterdir())[:4]:
        Image.open(path).resize((24, 24)).save(folder / "images_2" / path.name)
    return folder


def test_a_folder_of_some_smaller_ones_is_left_alone(capture, monkeypatch):
    """A copy that was cut short, while those that it was made of are there."""
    monkeypatch.setattr(plain, "LARGEST", 24)
    assert {head.size for head in plain.plain_capture(capture).heads} == {(48, 48)}
    for path in (capture / "images").iterdir():
        if not (capture / "images_2" / path.name).exists():
            shutil.copy(path, capture / "images_2")
            Image.open(path).resize((24, 24)).save(capture / "images_2" / path.name)
    assert {head.size for head in plain.plain_capture(capture).heads} == {(24, 24)}


def test_some_smaller_ones_that_were_asked_for_are_named(capture):
    with pytest.raises(ValueError, match=r"6 of the 10 smaller photographs are missing.*images_2/frame_04.*Leave it"):
        plain.plain_capture(capture, 2)


@pytest.mark.parametrize("factor", [0, -1, 0.5, float("nan"), float("inf"), 1e400])
def test_a_factor_that_is_none_is_refused(capture, factor):
    with pytest.raises(ValueError, match="--downscale-factor is a whole number from 1 on"):
        plain.plain_capture(capture, factor)


def test_a_whole_factor_may_come_with_a_point(capture):
    shutil.rmtree(capture / "images_2")
    assert plain.plain_capture(capture, 1.0).heads == plain.plain_capture(capture).heads
