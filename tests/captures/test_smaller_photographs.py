"""Which of images, images_2, images_4 ... a capture is read from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from fasttext2style.captures import plain
from tests.captures.small import HEIGHT, WIDTH, small_capture


@pytest.fixture
def capture(tmp_path) -> Path:
    """Photographs, and smaller ones of the first four."""
    folder = tmp_path / "capture"
    small_capture(folder)
    (folder / "images_2").mkdir()
    for path in sorted((folder / "images").iterdir())[:4]:
        Image.open(path).resize((WIDTH // 2, HEIGHT // 2)).save(folder / "images_2" / path.name)
    return folder


def test_a_folder_of_some_smaller_ones_is_left_alone(capture, monkeypatch):
    """A copy that was cut short, while those that it was made of are there."""
    monkeypatch.setattr(plain, "LARGEST", WIDTH // 2)
    assert {head.size for head in plain.plain_capture(capture).heads} == {(WIDTH, HEIGHT)}
    for path in (capture / "images").iterdir():
        if not (capture / "images_2" / path.name).exists():
            Image.open(path).resize((WIDTH // 2, HEIGHT // 2)).save(capture / "images_2" / path.name)
    assert {head.size for head in plain.plain_capture(capture).heads} == {(WIDTH // 2, HEIGHT // 2)}


def test_some_smaller_ones_that_were_asked_for_are_named(capture):
    with pytest.raises(ValueError, match=r"2 of the 6 smaller photographs are missing.*images_2/04.*Leave it"):
        plain.plain_capture(capture, 2)


@pytest.mark.parametrize("factor", [0, -1, 0.5, float("nan"), float("inf"), 1e400])
def test_a_factor_that_is_none_is_refused(capture, factor):
    with pytest.raises(ValueError, match="--downscale-factor is a whole number from 1 on"):
        plain.plain_capture(capture, factor)


def test_a_whole_factor_may_come_with_a_point(capture):
    shutil.rmtree(capture / "images_2")
    assert plain.plain_capture(capture, 1.0).heads == plain.plain_capture(capture).heads
