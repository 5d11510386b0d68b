"""What an editor was trained on is known again, by whoever measures it."""

from __future__ import annotations

import pytest
from random_editor import some_cases

from fasttext2style.editor_training.trained_on import pictures_of, rows_among, trained_on, unseen_by_all


def test_a_picture_is_known_by_its_name_though_its_pixels_changed_and_by_its_pixels_under_another_name():
    cases = some_cases(4)
    pictures = pictures_of(cases.select([0, 2]))
    assert rows_among(cases, pictures) == [0, 2]
    assert rows_among(cases, dict.fromkeys(pictures, "others")) == [0, 2]
    assert rows_among(cases, {f"renamed {name}": digest for name, digest in pictures.items()}) == [0, 2]
    assert unseen_by_all(cases, [pictures, None]).names == ("1", "3")
    assert unseen_by_all(cases, [pictures, pictures_of(cases)]).names == cases.names


def test_a_book_that_says_nothing_of_pictures_is_none_and_a_damaged_one_is_refused(tmp_path):
    lora, book = tmp_path / "lora.safetensors", tmp_path / "training.json"
    assert trained_on(lora) is None
    book.write_text('{"editor": "tiny", "epochs": []}')
    assert trained_on(lora) is None and trained_on(tmp_path) is None
    book.write_text('{"trained_on": {"1.0": "ab"}}')
    assert trained_on(lora) == trained_on(tmp_path) == {"1.0": "ab"}
    for damaged in ("{", "[]", '{"trained_on": ["1.0"]}', '{"trained_on": {"1.0": 3}}'):
        book.write_text(damaged)
        with pytest.raises(ValueError, match=r"training\.json is damaged .* lora\.safetensors was trained on"):
            trained_on(lora)
