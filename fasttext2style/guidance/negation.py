"""What a sentence does not want: networks that join texts and images go towards every word, also behind a "not"."""

from __future__ import annotations

import re

_NEGATED = re.compile(
    r"(?<![-\w])(?:not|no|without|never|neither|nor|\w+n['’]t)\b.*?"
    r"(?=[,;.:!?]|\b(?:but|instead|rather|made|with|covered)\b|$)",
    re.IGNORECASE | re.DOTALL,
)
"""Up to where something else begins; "forget-me-not" is a flower."""


def negates(word: str) -> bool:
    """Whether what stands behind a word is not wanted."""
    return _NEGATED.match(word) is not None


def without_negated(text: str) -> str:
    """The text without what is not wanted: "silver, not gold" is "silver, "."""
    return _NEGATED.sub(" ", text)


def negated_words(text: str) -> list[str]:
    """Words, in lower case, for what is not wanted: gold of "silver, not gold"."""
    return [word for part in _NEGATED.findall(text.lower()) for word in re.findall(r"\w+", part)[1:]]
