"""What the docs say about captures is what happens to them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fasttext2style.captures.masks import masks_of, read_mask
from fasttext2style.captures.photographs import read_photograph
from tests.captures.small import HEIGHT, WIDTH
from tests.captures.table import DOCUMENT, OBJECT_MASKS, PHOTOGRAPHS, TABLES, checked, document, made

CASES = {f"{title}: {case.given}": case for title, cases in TABLES.items() for case in cases}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_capture_is_accepted_or_refused_in_one_sentence(tmp_path, case):
    folder = made(case, tmp_path / "capture")
    if not case.refused:
        assert case.expected(case.looked_at(folder))
        return
    with pytest.raises(ValueError) as refusal:
        case.looked_at(folder)
    message = str(refusal.value)
    assert all(part in message for part in case.refused), message
    assert str(folder) in message and "\n" not in message


def test_the_document_is_made_from_the_table():
    assert DOCUMENT.read_text(encoding="utf8") == document(), "run: python -m tests.captures.table"


@pytest.mark.parametrize("case", [case for case in PHOTOGRAPHS if not case.refused], ids=lambda case: case.given)
def test_what_is_accepted_can_be_read(tmp_path, case):
    """Of the size that the camera has, in 8 bits, with alpha or without."""
    capture = checked(made(case, tmp_path / "capture"))
    for head, frame in zip(capture.heads, capture.meta["frames"]):
        size = (frame["w"], frame["h"])
        pixels = read_photograph(head.path, size, size)
        assert pixels.dtype == np.uint8 and pixels.shape[:2] == size[::-1] and pixels.shape[2] in (3, 4)


@pytest.mark.parametrize(
    "case", [c for c in OBJECT_MASKS if not c.refused and "two folders" not in c.given], ids=lambda case: case.given
)
def test_what_is_white_to_the_eye_is_the_object(tmp_path, case):
    """All masks of the table show one rectangle, 6 to 18 and 4 to 12."""
    folder = made(case, tmp_path / "capture")
    capture = checked(folder)
    size = (WIDTH, HEIGHT)
    white = np.zeros((HEIGHT, WIDTH), bool)
    white[4:12, 6:18] = True
    for mask, turn in zip(masks_of(folder / "object_masks", capture.photographs), capture.turns):
        assert (read_mask(mask, size, turn, size) == white).all()


def test_a_mask_of_the_stored_photograph_is_turned_with_it(tmp_path):
    """Photograph and mask lie in their files as 24 x 16, the photograph's tag turns it to 16 x 24."""
    mask = Image.new("L", (WIDTH, HEIGHT))
    mask.paste(255, (0, 0, 6, 4))
    mask.save(tmp_path / "mask.png")
    white = np.zeros((WIDTH, HEIGHT), bool)
    white[0:6, HEIGHT - 4 :] = True  # orientation 6: the left upper corner goes to the right upper one
    assert (read_mask(tmp_path / "mask.png", (HEIGHT, WIDTH), 6, (HEIGHT, WIDTH)) == white).all()
