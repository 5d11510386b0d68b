"""Which tokens of an instruction say where it belongs: its content words."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

FUNCTION_WORDS = frozenset({
    "a", "an", "the", "this", "that", "these", "those", "it", "its", "they", "them", "their", "he", "him", "his",
    "she", "her", "we", "our", "you", "your", "i", "my", "me", "and", "or", "but", "so", "as", "at", "by", "for",
    "from", "in", "into", "of", "off", "on", "onto", "out", "over", "to", "under", "up", "with", "within",
    "without", "is", "are", "was", "were", "be", "been", "being", "has", "have", "had", "do", "does", "did", "can",
    "could", "should", "would", "will", "shall", "may", "might", "must", "please", "let", "there", "here", "like",
    "if", "than", "then", "very", "more", "less", "also", "just", "not", "no",
})  # fmt: skip
EDITING_WORDS = frozenset({
    "make", "turn", "change", "transform", "convert", "paint", "color", "colour", "give", "render", "put", "add",
    "place", "insert", "remove", "delete", "replace", "erase", "take", "set", "cover", "made", "look", "looks",
    "looking", "become", "becomes", "edit", "modify", "swap", "get", "have",
})  # fmt: skip
"""What is to be done, and not to what: they stand in every instruction and point nowhere."""


def content_words(instruction: str) -> list[str]:
    """ "turn the bear into gold" has bear and gold.

    Raises:
        ValueError: there are none: nothing that attention could be asked about.
    """
    words = [word for word in instruction.split() if _says_something(word)]
    if not words:
        raise ValueError(
            f"The instruction {instruction!r} has no content words: say what and how, such as "
            '"turn the bear into gold".'
        )
    return words


def content_tokens(tokenizer: Any, instructions: list[str]) -> Bool[Tensor, "instructions tokens"]:
    """Which tokens belong to content words, as the tokenizer pads them: none of begin, end and padding.

    Raises:
        ValueError: an instruction without content words among the tokens that the editor reads.
    """
    length = tokenizer.model_max_length
    found = torch.zeros(len(instructions), length, dtype=torch.bool)
    for row, instruction in enumerate(instructions):
        content_words(instruction)
        position = 1
        for word in instruction.split():
            # Tokens never span words, so that a word alone has those that it has in its sentence.
            tokens = len(tokenizer(word, add_special_tokens=False).input_ids)
            found[row, position : position + tokens] = _says_something(word)
            position += tokens
        found[row, length - 1] = False
        if not found[row].any():
            raise ValueError(f"The editor reads {length} tokens, and no content word of {instruction!r} is among them")
    return found


def _says_something(word: str) -> bool:
    bare = word.lower().strip(".,;:!?\"'()[]")
    return bool(bare) and bare not in FUNCTION_WORDS and bare not in EDITING_WORDS
