"""Sentences about panoramas, made of their tags and categories, with other words for the same things."""

from __future__ import annotations

import random
from collections.abc import Sequence

from fasttext2style.envmaps.folder import Captioned
from fasttext2style.envmaps.looks import PAINTED

OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "sunrise-sunset": ("sunset", "sunrise", "golden hour", "a sunset environment", "scenic sun"),
    "sunset": ("sunset", "evening sky"),
    "dawn": ("dawn", "sunrise", "sunset"),
    "morning-afternoon": ("day", "daylight", "morning", "afternoon"),
    "midday": ("day", "midday", "noon", "sunny day"),
    "clear": ("clear sky", "clear", "sunny", "a sunny day"),
    "partly cloudy": ("cloudy", "clouds", "partly cloudy sky"),
    "overcast": ("overcast", "cloudy", "grey cloudy sky", "grey sky"),
    "night": ("night", "at night time", "dark environment", "night sky"),
    "moonlight": ("moonlight", "night"),
    "indoor": ("indoor", "an indoor scene", "inside a room", "interior"),
    "outdoor": ("outdoor", "outside"),
    "studio": ("studio", "indoor studio", "photo studio"),
    "softbox": ("studio lights", "softbox"),
    "nature": ("nature", "nature scene"),
    "urban": ("urban", "city"),
    "snow": ("snow", "snowy", "snowy field", "winter"),
    "sand": ("sand", "sandy", "sand terrain"),
    "desert": ("desert", "sand terrain"),
    "beach": ("beach", "at the beach", "coast"),
    "sea": ("sea", "ocean", "at the sea"),
    "forest": ("forest", "woods", "trees in a forest", "with trees"),
    "trees": ("trees", "with trees"),
    "hangar": ("hangar", "warehouse"),
    "warehouse": ("warehouse", "hall"),
    "street": ("street", "road"),
}
"""Of a tag or category: what people also write. It itself is among them only where people write it."""
FRAMES = ("{}", "{}", "a photo of {}", "an environment with {}", "{}, panorama")
UNSAID = frozenset(("natural light", "artificial light", "low contrast", "medium contrast", "high contrast"))
"""Categories that say little of what is seen: kept for retrieval, seldom for sentences."""


def phrases_of(one: Captioned) -> list[str]:
    """What may be said of a panorama, its tags first."""
    said = [*one.tags, *one.categories]
    return list(dict.fromkeys(phrase for word in said for phrase in (word, *OTHER_WORDS.get(word, ()))))


def sentence(one: Captioned, draw: random.Random) -> tuple[str, tuple[str, ...]]:
    """A sentence about a panorama, and the tags and categories that it is made of; a third of them say all."""
    words = list(dict.fromkeys((*one.tags, *one.categories)))
    if draw.random() < 1 / 3:
        return one.caption, tuple(words)
    some = [word for word in words if word not in UNSAID or draw.random() < 0.1] or words
    some = draw.sample(some, min(len(some), draw.choice((1, 1, 2, 3, 4))))
    said = [draw.choice((word, *OTHER_WORDS[word])) if word in OTHER_WORDS else word for word in some]
    return draw.choice(FRAMES).format(", ".join(said)), tuple(some)


def learnt_phrases(panoramas: Sequence[Captioned]) -> list[str]:
    """All that sentences about these are made of, in whatever light, sorted."""
    looks = {phrase for look in PAINTED.values() for phrase in look.words}
    return sorted(looks.union(*(phrases_of(one) for one in panoramas)))
