"""Sentences of a file: read, and questioned all together before anything is computed."""

import pytest

from fasttext2style.guidance.load import load_encoder
from fasttext2style.sweeps.sentences import LARGEST, Sentences


def _read(tmp_path, content: str | bytes) -> Sentences:
    path = tmp_path / "wishes.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Sentences.read(path)


def test_a_line_is_a_sentence_but_for_empty_ones_and_remarks(tmp_path):
    found = _read(tmp_path, "\ufeff# colours\n\na bear made of gold\r\n  carved \t from ice  \n#red\n")
    assert [(sentence.line, sentence.text) for sentence in found.all] == [
        (3, "a bear made of gold"),
        (4, "carved from ice"),
    ]


def test_all_sentences_that_say_nothing_to_the_encoder_are_named_with_their_lines(tmp_path):
    sentences = _read(tmp_path, "a bear made of gold\nxylophone music\n\nred\njustice\n")
    with pytest.raises(
        ValueError, match=r'2 of 4 sentences of .*wishes.txt: line 2, "xylophone music"; line 5, "justice"'
    ) as told:
        sentences.check(load_encoder("tiny"))
    assert "\n" not in str(told.value) and "gold" in str(told.value), "what it knows is said, too"
    only = _read(tmp_path, "red\njustice\n")
    with pytest.raises(ValueError, match=r'wishes.txt, line 2, "justice": Encoder tiny knows no word of the prompt'):
        only.check(load_encoder("tiny"))


def test_guessed_words_are_told_with_their_line(tmp_path):
    (warning,) = _read(tmp_path, "red\na red xylophone\n").check(load_encoder("tiny"))
    assert warning.startswith('line 2, "a red xylophone": Encoder tiny does not know')


BAD = [
    ("\n# nothing\n", "has no sentence"),
    ("red\nblue\nred\n", "line 3 says what line 1 does"),
    (b"red\n\xff\xfe\n", "line 2: no UTF-8"),
    ("x" * (LARGEST + 1), "more than the 262,144 bytes"),
    ("red\n" + "x " * 1500, "line 2: more than 2,000 characters"),
]


@pytest.mark.parametrize("content, words", BAD)
def test_what_is_no_list_of_sentences_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(ValueError, match=words):
        _read(tmp_path, content)


def test_a_file_that_is_not_there_and_one_that_is_none(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.txt cannot be read: No such file"):
        Sentences.read(tmp_path / "nowhere.txt")
    with pytest.raises(ValueError, match="is no file"):
        Sentences.read(tmp_path)


def test_the_embedded_encoder_refuses_nothing_of_the_built_in_list():
    built_in = Sentences.built_in()
    built_in.check(load_encoder("tiny"))
    assert len(built_in.all) == 13
