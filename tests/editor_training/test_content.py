"""Content words and their tokens."""

from __future__ import annotations

import pytest

from fasttext2style.editor_training.content import content_tokens, content_words
from tests.editors.tiny_pipelines import tiny_tokenizer


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ("turn the bear into gold", ["bear", "gold"]),
        ("Make it red!", ["red!"]),
        ("put a penguin on the left side of the picture", ["penguin", "left", "side", "picture"]),
        ("remove the dog, please", ["dog,"]),
    ],
)
def test_content_words_are_what_is_spoken_of(instruction, words):
    assert content_words(instruction) == words


@pytest.mark.parametrize("instruction", ["", "make it so", "turn this into that", "!!! ..."])
def test_an_instruction_without_any_is_refused_in_words(instruction):
    with pytest.raises(ValueError, match="no content words"):
        content_words(instruction)


@pytest.mark.parametrize(
    "instruction", ["turn the bear into gold", "a  golden   bear.", "Turn it into wood-like stone"]
)
def test_their_tokens_are_found_where_the_tokenizer_puts_them(instruction):
    """Here every letter is a token, so that their text can be read off."""
    tokenizer = tiny_tokenizer()
    ids = tokenizer(instruction, padding="max_length", max_length=tokenizer.model_max_length).input_ids
    chosen = [
        tokenizer.convert_ids_to_tokens([ids[place]])[0]
        for place in content_tokens(tokenizer, [instruction])[0].nonzero()[:, 0].tolist()
    ]
    assert "".join(chosen).replace("</w>", "") == "".join(content_words(instruction)).lower()
