"""The vocabulary of the embedded encoder, read without torch: it stands in the head of its weights' file."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from fasttext2style.trust.documents import is_text

PACKAGED_WEIGHTS = "tiny_encoder.safetensors"


class Vocabulary(NamedTuple):
    """Words in the order of the network's rows."""

    style: list[str]
    """Words that move the picture: colours, materials, patterns."""
    neutral: list[str]
    """Words that say nothing about looks."""


def read_vocabulary(weights: Path | None = None) -> Vocabulary:
    """Of the packaged encoder, or of a file written by `examples/train_tiny_encoder/train.py`.

    Raises:
        ValueError: the file is not there or holds another model.
    """
    if weights is None:
        with as_file(files("fasttext2style.guidance") / PACKAGED_WEIGHTS) as path:
            return read_vocabulary(path)
    if not weights.is_file():
        raise ValueError(f"No tiny encoder weights at {weights}; expected a file made by examples/train_tiny_encoder.")
    try:
        with safe_open(weights, framework="numpy") as stored:
            metadata = stored.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{weights} is no .safetensors file ({error}); expected tiny encoder weights.") from error
    if "style_words" not in metadata:
        raise ValueError(f"{weights} holds another model: expected tiny encoder weights, made by train_tiny_encoder.")
    try:
        style, neutral = (json.loads(metadata[name]) for name in ("style_words", "neutral_words"))
        if not all(isinstance(words, list) and all(map(is_text, words)) for words in (style, neutral)):
            raise ValueError("its words are no lists of words")
        return Vocabulary(style, neutral)
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{weights} is damaged ({type(error).__name__}: {error}); make or copy it again.") from error
