"""Which words of a prompt an encoder has learnt: the question to ask before a run, not after it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Coverage:
    """A prompt's words by what the encoder makes of them, each in the order of its first appearance."""

    known: tuple[str, ...]
    """Words that move the picture: colours, materials, patterns. An encoder of open vocabulary puts all words here."""

    unknown: tuple[str, ...]
    """Words the encoder never saw. They are guessed from their spelling, which seldom helps."""

    neutral: tuple[str, ...] = ()
    """Words that were learnt as saying nothing about looks: "a", "made", "of", "bear", "photo"."""
