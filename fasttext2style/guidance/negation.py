"""What a sentence does not want: networks that join texts and images go towards every word, also behind a "not"."""

from __future__ import annotations

import re

_NEGATED = re.compile(
    r"(?<![-\w])(?:not(?! only\b)|no|without|never|neither|nor|\w+n['’]t)\b"
    r"(?P<unwanted>[ \t]*\w*.*?)"
    r"(?=[,;.:!?]|\b(?:but|instead|rather|made|with|covered)\b|$)",
    re.IGNORECASE | re.DOTALL,
)
"""The word behind it at least, as in "not made of gold", and up to where something else begins. "Forget-me-not" is a
flower, and "not only gold" is gold, too."""


def negates(word: str) -> bool:
    """Whether what stands behind a word is not wanted."""
    return _NEGATED.match(word) is not None


def without_negated(text: str) -> str:
    """The text without what is not wanted: "silver, not gold" is "silver, "."""
    return _NEGATED.sub(" ", text)


def negated_words(text: str) -> list[str]:
    """Words, in lower case, for what is not wanted: gold of "silver, not gold"."""
    return [word for found in _NEGATED.finditer(text.lower()) for word in re.findall(r"\w+", found["unwanted"])]
