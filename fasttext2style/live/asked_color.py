"""The colour that a sentence asks for, and whether something became so: "Done: blue" of a red ball would be a lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.offline.palette import NAMED
from fasttext2style.guidance.offline.sentences import COLOURS, FILLERS, SHADES, WEARERS, words_of
from fasttext2style.guidance.oklab import oklab_of
from fasttext2style.scene.gaussians import SH_C0, Gaussians

_MATERIALS = frozenset(
    "amber charcoal coral cream ebony emerald gold golden ivory lemon mustard rose ruby silvery".split()  # noqa: SIM905
)
"""Words of colour that mean a stuff as often."""
_VERBS = frozenset("change color colour dye make paint turn".split())  # noqa: SIM905
_PATTERNS = frozenset("dots dotted pattern patterned print spots spotted stripes striped".split())  # noqa: SIM905
_PARTLY = _PATTERNS | {"and", "has", "having", "in", "or", "wearing", "with"}
"""With one of these in a sentence a colour in it may be that of a part."""
ENOUGH = 0.5
"""Share of an object that has its colour once it is called so."""
_HUE, _STRONG, _GREYISH, _LIKE_GREY = math.radians(30), 0.3, 0.04, 0.12
"""What still is the hue (red and orange are 31 degrees apart); how much of a colour's chroma, relative to its
lightness, there must be; chroma of what is asked for as a grey; and that of what passes as one, relative to its
lightness."""
_LIGHTNESS = 0.25
"""Of greys, in Oklab: between black (0.15) and grey (0.6) lies 0.45, between grey and white 0.37."""


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
    first = _first_color(words)
    if first == len(words) or words[first] in _MATERIALS or _PATTERNS & set(words):
        return None
    shaded = first > 0 and words[first - 1] in SHADES
    before, after = words[: first - 1 if shaded else first], words[first + 1 :]
    plain = FILLERS | WEARERS | {"into"}
    # Behind a verb what stands before the colour is the thing, whatever it is called.
    if not (before and before[0] in _VERBS and not after) and not all(word in plain for word in before + after):
        return None
    return _color_at(words, first)


def asked_color(sentence: str) -> PlainColor | None:
    """The colour that most of the object should have after a sentence; None where it names none, several, or that of a
    part.

    "a blue crate" and "gold" ask for one, "a bear in a red scarf" and "red and white stripes" do not.
    """
    plain = plain_color(sentence)
    words = words_of(sentence)
    named = {COLOURS[word] for word in words if word in COLOURS}
    if plain is not None or len(named) != 1 or _PARTLY & set(words):
        return plain
    return _color_at(words, _first_color(words))


def _first_color(words: list[str]) -> int:
    """Number of the first word of colour; of none, that of all words."""
    return next((number for number, word in enumerate(words) if word in COLOURS), len(words))


def _color_at(words: list[str], number: int) -> PlainColor:
    word, before = words[number], words[number - 1] if number else ""
    factor = SHADES.get(before, 1.0)
    red, green, blue = (min(255, round(factor * value)) / 255 for value in NAMED[COLOURS[word][0]])
    return PlainColor(f"{before} {word}" if before in SHADES else word, (red, green, blue))


@torch.no_grad()
def share_of(colors: Float[Tensor, "some 3"], weights: Float[Tensor, " some"], asked: PlainColor) -> float:
    """How much of some weighted sRGB colours would be called so, from 0 to 1: by their hue, or for greys by their
    lightness. Light and shade do not count: in Oklab they scale a colour as a whole.
    """
    (lightness, a, b), (wanted, wanted_a, wanted_b) = (
        oklab_of(it).unbind(-1) for it in (colors, torch.tensor([asked.srgb]).to(colors))
    )
    chroma, wanted_chroma = torch.hypot(a, b), torch.hypot(wanted_a, wanted_b)
    strength = chroma / lightness.clamp_min(1e-3)
    if float(wanted_chroma) < _GREYISH:
        fits = (strength < _LIKE_GREY) & ((lightness - wanted).abs() < _LIGHTNESS)
    else:
        # The cosine of the angle between the hues.
        between = (a * wanted_a + b * wanted_b) / (chroma * wanted_chroma).clamp_min(1e-9)
        fits = (between > math.cos(_HUE)) & (strength > _STRONG * wanted_chroma / wanted)
    return float((weights * fits).sum() / weights.sum().clamp_min(1e-12))


def told_color(sentence: str, gaussians: Gaussians, weights: Float[Tensor, " gaussians"]) -> str:
    """What people should know of the colour that an object (weights above 0) has after a sentence; "" if it fits, or if
    none was asked for."""
    asked = asked_color(sentence)
    if asked is None:
        return ""
    colors = (0.5 + SH_C0 * gaussians.sh_dc).clamp(0, 1)
    return told_share(share_of(colors, weights * gaussians.opacities, asked), asked)


def told_share(share: float, asked: PlainColor) -> str:
    """See above; `share` has that colour."""
    if share >= ENOUGH:
        return ""
    return f" But it did not become {asked.name}: {'nothing' if share < 0.005 else f'{share:.0%}'} of it is."
