"""Sentences that ask for one plain colour, "make the ball blue", and that colour on the object: at once, and evenly.

A style by such a sentence comes out in patches: what compares pictures with words is content with much of the colour.
"""

from __future__ import annotations

from dataclasses import dataclass

from fasttext2style.guidance.offline.palette import NAMED
from fasttext2style.guidance.offline.sentences import COLOURS, FILLERS, SHADES, WEARERS, words_of
from fasttext2style.live.grade import grading
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.styling.grade import one_color

_MATERIALS = frozenset(
    "amber charcoal coral cream ebony emerald gold golden ivory lemon mustard rose ruby silvery".split()  # noqa: SIM905
)
"""Words of colour that mean a stuff as often."""
_VERBS = frozenset("change color colour dye make paint turn".split())  # noqa: SIM905


@dataclass(frozen=True)
class PlainColor:
    """A colour, and what it is called."""

    name: str
    """ "dark blue"."""
    srgb: tuple[float, float, float]
    """In [0, 1]."""


def plain_color(sentence: str) -> PlainColor | None:
    """The colour, if a sentence asks for one colour and for nothing else.

    "blue", "a dark blue ball" and "make the crate blue" do; "blue denim", "gold" and "red and white stripes" do not.
    """
    words = [word for word in words_of(sentence) if word != "please"]
    first = next((number for number, word in enumerate(words) if word in COLOURS), len(words))
    if first == len(words) or words[first] in _MATERIALS:
        return None
    shade = words[first - 1] if first and words[first - 1] in SHADES else ""
    before, after = words[: first - 1 if shade else first], words[first + 1 :]
    plain = FILLERS | WEARERS | {"into"}
    # Behind a verb what stands before the colour is the thing, whatever it is called.
    if not (before and before[0] in _VERBS and not after) and not all(word in plain for word in before + after):
        return None
    red, green, blue = (
        min(255, round(SHADES.get(shade, 1.0) * value)) / 255 for value in NAMED[COLOURS[words[first]][0]]
    )
    return PlainColor(f"{shade} {words[first]}".strip(), (red, green, blue))


@dataclass(frozen=True)
class Paint:
    """Give the present object a colour that a sentence asks for, and leave it its light and shade; as a step."""

    sentence: str
    title: str = "Paint"
    replaces_waiting: bool = True
    goes_on: bool = True
    """What is on its way need not be settled before this."""

    def run(self, scene: LiveScene, progress: Progress) -> str:
        color = plain_color(self.sentence)
        if color is None:
            raise ValueError('The sentence names no plain color. Type one, such as "make the ball blue".')
        change = grading(scene)
        change.show(one_color(change.before.gaussians(), change.before.selection, color.srgb), self.sentence.strip())
        return f"Painted {color.name}. More or less of it: Colors, Tint and Brightness."
