"""A sentence's parts: which words name the look, which a colour in it, which only the thing that wears it.

"a bear with zebra stripes" is about zebra stripes, "a brick bear" about brick, "a red zebra" about red and zebra,
"a bear" about a bear. By English order of words and two lists, so that it can be said aloud what moved what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from fasttext2style.guidance.negation import without_negated

COLOURS: dict[str, tuple[str, ...]] = {
    "black": ("black",), "ebony": ("black",), "charcoal": ("dark grey", "black"), "white": ("white",),
    "ivory": ("cream", "white"), "cream": ("cream",), "gray": ("grey",), "grey": ("grey",),
    "silvery": ("light grey", "grey", "white"), "red": ("red",), "scarlet": ("red",), "crimson": ("red", "dark red"),
    "ruby": ("red", "dark red"), "maroon": ("dark red",), "burgundy": ("dark red",), "pink": ("pink",),
    "rose": ("pink", "salmon"), "magenta": ("magenta",), "fuchsia": ("magenta", "pink"), "salmon": ("salmon",),
    "coral": ("salmon",), "orange": ("orange",), "amber": ("amber",), "golden": ("amber",),
    "gold": ("amber",), "yellow": ("yellow",), "lemon": ("yellow",), "mustard": ("amber",),
    "beige": ("beige",), "tan": ("tan",), "khaki": ("beige", "olive"), "brown": ("brown",), "olive": ("olive",),
    "green": ("green",), "emerald": ("green", "dark green"), "lime": ("light green",), "turquoise": ("turquoise",),
    "cyan": ("turquoise",), "teal": ("teal",), "aqua": ("turquoise",), "blue": ("blue",), "azure": ("sky blue",),
    "navy": ("navy",), "indigo": ("navy", "purple"), "purple": ("purple",), "violet": ("purple",),
    "lavender": ("lavender",), "lilac": ("lavender",),
}  # fmt: skip
"""Words of colour, and the bins of `palette.NAMED` that they are."""

SHADES = {"dark": 0.55, "deep": 0.7, "pale": 1.5, "light": 1.4, "bright": 1.1, "vivid": 1.0}
"""Words that make a colour darker or lighter, by that factor."""

LINKS = (
    "covered in", "covered with", "covered by", "made of", "made out of", "made from", "made with", "built from",
    "built of", "carved from", "carved out of", "carved in", "knitted from", "woven from", "painted like",
    "painted with", "dressed in", "wrapped in", "coated in", "coated with", "dipped in", "in the style of", "out of",
    "looks like", "turned into", "turn into", "into", "with", "like", "of", "in", "from",
)  # fmt: skip
"""Behind the first of these stands the look, if before it is nothing but a thing that may wear it."""

FILLERS = frozenset(
    """a an the is are and or its it this that some all any very fully entirely completely wholly whole made covered
    turn turned make carved cast painted built knitted woven photo photograph picture image render rendering closeup
    close up view style styled look looks looking like texture textured pattern patterned print printed surface skin
    be should must please coated full lots many much of in on with from to by as my our your one two big small large
    but instead rather little new old nice pure solid real shiny glossy matte polished fresh decorated wrapped dressed
    beautiful colored coloured color colour colors colours stripes striped spots spotted shape shaped""".split()  # noqa: SIM905
)
"""Words that say nothing by themselves."""

EMPTY_ENDS = ("please", "pattern", "texture", "surface", "style", "look")
"""Of these the last word of a look makes it less known: "checkerboard" is, "checkerboard pattern" is half of it."""

WEARERS = frozenset(
    """object thing bear teddy dinosaur truck teapot figurine statue sculpture chair horse dog cat car toy figure bunny
    elephant robot man woman person people head face hand body table sofa bench bed vase bowl cup mug plate bottle pot
    house building wall roof door tower bridge road ground bicycle bike bus train plane boat ship box cube ball sphere
    cylinder cone block shoe boot hat bag phone guitar piano cow sheep pig goat pillar column monument bust animal
    slab scene room floor""".split()  # noqa: SIM905
)
"""Things that a scene may show: beside another look they only wear it."""

ASKING = frozenset(
    """please can could would will you i we want wish need like to let make turn paint dye tint stain colour color spray
    give change transform convert render style stylize restyle cover wrap coat dress put show have get""".split()  # noqa: SIM905
)
"""Words that a wish begins with; "paint splashes" is none."""

ASKED = frozenset("a an the it its this that these those them him her my our your everything".split())  # noqa: SIM905
"""Words that what is asked for begins with."""


class Parts(NamedTuple):
    """What a sentence says."""

    look: str
    """The words that name a look, in their order, colours left out: "zebra stripes"; "" if there are only colours."""
    colours: tuple[str, ...]
    """Words of colour with their shades: "red", "dark blue"."""
    wearer: str
    """The thing that wears it, for messages."""


def words_of(text: str) -> list[str]:
    """Lower-case words: "A gold-plated bear!" is a, gold, plated, bear. What is not wanted is left out: "silver, not
    gold" is silver."""
    return re.findall(r"[a-z]+", without_negated(text.lower()))


def foreign(text: str) -> bool:
    """Whether most letters are of another script than English: MiniLM would read them as noise."""
    letters = [letter for letter in text if letter.isalpha()]
    return sum(letter.isascii() for letter in letters) * 2 < len(letters)


def parts_of(text: str, named: frozenset[str] = frozenset()) -> Parts:
    """Take a sentence apart; `named` are things with a colour in their name ("red fox"), which stay whole."""
    words = _wish(words_of(text))
    wearer, look = _split(words)
    kept, colours, shade = [], [], ""
    phrase = " ".join(word for word in look if word not in ("a", "an", "the"))
    whole = phrase in named
    for number, word in enumerate(look):
        following = look[number + 1] if number + 1 < len(look) else ""
        if not whole and word in SHADES and following in COLOURS:
            shade = f"{word} "
        elif not whole and word in COLOURS:
            colours.append(shade + word)
            shade = ""
        else:
            kept.append(word)
    if all(word in FILLERS for word in kept):
        kept = [word for word in kept if word in ("stripes", "striped", "spots", "spotted")]
    while kept and kept[0] in FILLERS and len(kept) > 1:
        kept.pop(0)
    while len(kept) > 1 and kept[-1] in EMPTY_ENDS:
        kept.pop()
    return Parts(" ".join(kept) or metal_of(colours), tuple(colours), " ".join(wearer))


def metal_of(colours: Iterable[str]) -> str:
    """The look of colours beside which no other is named: gold means the metal."""
    return "gold" if {"gold", "golden"} & set(colours) else ""


def _wish(words: list[str]) -> list[str]:
    """Without what only asks for it: "please paint the bear red" is about the bear red."""
    for number, word in enumerate(words):
        if word not in ASKING:
            return words[number:] if word in ASKED or word in WEARERS else words
    return words


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """(what wears the look, the look)."""
    sentence = f" {' '.join(words)} "
    found = [(sentence.find(f" {link} "), -len(link), link) for link in LINKS if f" {link} " in sentence]
    for start, _, link in sorted(found):
        before, after = sentence[:start].split(), sentence[start + len(link) + 1 :].split()
        if all(word in FILLERS or word in WEARERS for word in before) and _says(after):
            return [word for word in before if word in WEARERS], _without_wearer(after)[1]
    return _without_wearer(words)


def _without_wearer(words: list[str]) -> tuple[list[str], list[str]]:
    """A last word that only wears ("a brick bear", "turn the bear red") is no look, unless nothing else is."""
    rest = [word for word in words if word not in WEARERS]
    return ([word for word in words if word in WEARERS], rest) if _says(rest) else ([], words)


def _says(words: list[str]) -> bool:
    return any(word not in FILLERS for word in words) or "stripes" in words or "spots" in words
