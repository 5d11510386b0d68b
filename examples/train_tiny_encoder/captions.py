"""What is said about a picture: templates, synonyms, the vocabulary, and which captions fit which pictures."""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass
from importlib.resources import files

from materials import COLOURS, MATERIALS

SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("red", "scarlet", "crimson"),
    "orange": ("orange",),
    "yellow": ("yellow", "lemon"),
    "green": ("green", "emerald"),
    "turquoise": ("turquoise", "cyan", "teal", "aqua"),
    "blue": ("blue", "navy", "azure"),
    "purple": ("purple", "violet", "lavender"),
    "pink": ("pink", "rose", "magenta"),
    "brown": ("brown", "tan"),
    "black": ("black", "ebony"),
    "white": ("white", "ivory"),
    "gray": ("gray", "grey"),
    "gold": ("gold", "golden", "gilded", "gold plated", "solid gold", "shiny gold", "polished gold", "pure gold"),
    "silver": ("silver", "chrome", "steel", "metal", "metallic", "shiny metal", "polished silver", "iron", "silvery"),
    "bronze": ("bronze", "brass", "polished bronze"),
    "copper": ("copper", "shiny copper"),
    "wood": ("wood", "wooden", "timber", "oak", "carved wood", "planks"),
    "stone": ("stone", "rock", "granite", "concrete", "grey stone", "rocky"),
    "marble": ("marble", "polished marble"),
    "brick": ("brick", "bricks", "brickwork", "masonry"),
    "ice": ("ice", "frozen", "icy", "frost", "crystal", "blue ice", "frosty"),
    "snow": ("snow", "snowy", "fresh snow", "white snow"),
    "lava": ("lava", "magma", "molten lava", "molten rock", "glowing lava", "volcanic"),
    "fire": ("fire", "flames", "burning", "blazing fire", "flame", "flaming"),
    "grass": ("grass", "grassy", "green grass", "lawn"),
    "moss": ("moss", "mossy", "green moss"),
    "water": ("water", "ocean", "sea", "blue water", "waves"),
    "galaxy": ("galaxy", "nebula", "starry", "night sky", "cosmic", "cosmos", "stars"),
    "rust": ("rust", "rusty", "rusted metal", "rusted", "rusty iron"),
    "sand": ("sand", "sandy", "desert", "desert sand"),
    "leather": ("leather", "brown leather"),
    "zebra": ("zebra", "zebra stripes", "zebra skin"),
    "leopard": ("leopard", "leopard spots", "leopard skin", "cheetah", "leopard fur"),
    "stripes": ("stripes", "striped", "stripy"),
    "checkers": ("checkers", "checkered", "checkerboard", "chequered", "chessboard"),
    "dots": ("polka dots", "polka dot", "dots", "dotted"),
    "jade": ("jade", "jade stone"),
    "denim": ("denim", "jeans", "blue denim"),
    "chocolate": ("chocolate", "cocoa", "dark chocolate"),
}
MODIFIERS = ("bright", "dark", "deep", "pale", "light", "vivid", "shiny", "glossy", "matte", "painted", "beautiful")
OBJECTS = tuple(
    """
    object thing bear teddy dinosaur truck teapot figurine statue sculpture chair horse dog cat car floor toy
    figure bunny rabbit elephant lion bird duck fish dragon robot man woman person people head face hand body
    table sofa bench bed lamp vase bowl cup mug plate bottle pot plant flower tree house building wall roof door
    window tower bridge road street ground garden bicycle bike bus train plane boat ship wheel box cube ball
    sphere cylinder cone block shoe boot hat bag book phone guitar piano drum clock apple banana pumpkin cake
    bread donut kitchen counter room tractor bulldozer excavator lego mouse cow sheep pig goat camel monkey frog
    turtle snake bee butterfly owl eagle penguin whale shark buddha angel warrior knight king queen soldier
    pillar column fountain monument bust skull mask ring crown sword shield castle church temple scene
    """.split()  # noqa: SIM905 (a list of 139 quoted words is no better to read)
)
FILLERS = tuple(
    """
    a an the of made from in on out with and is it that this as like looks style styled texture textured
    material pattern patterned skin surface coated covered completely entirely whole photo picture image render
    rendering closeup close up view detailed colored coloured color colour turn turned into make carved cast
    painted my our some one very high quality small big large old new nice fully pure solid
    """.split()  # noqa: SIM905
)

STYLE_TEMPLATES = (
    "{style}", "{style}", "{style} {object}", "a {style} {object}", "a {object} made of {style}",
    "{object} made of {style}", "a photo of a {style} {object}", "a picture of a {object} made out of {style}",
    "the {object} is made of {style}", "a {object} in {style}", "{style} texture", "a {object} covered in {style}",
    "a {object} with {style}", "{style} material", "turn the {object} into {style}",
    "a {object} entirely made of {style}", "a {style} {object} on the floor", "a render of a {style} {object}",
    "a photo of {style}", "an image of a {object} of {style}", "make it {style}",
    "a statue of a {object} made from {style}", "a {style} statue of a {object}", "a {modifier} {style} {object}",
    "a {object} made of {modifier} {style}", "a {object} with {style} skin", "{style} style",
)  # fmt: skip
PLAIN_TEMPLATES = (
    "a {object}", "{object}", "a photo of a {object}", "a picture of a {object}", "the {object}",
    "a render of a {object}", "a {modifier} {object}", "a {object} and a {object}", "an image of a {object}",
    "a small {object} on the floor", "object",
)  # fmt: skip
UNKNOWN_TEMPLATES = (
    "{word}",
    "{word}",
    "a {word}",
    "a photo of a {word}",
    "a {word} {object}",
    "a {object} of {word}",
    "the {word}",
)


@dataclass(frozen=True)
class Look:
    """What a picture shows or a caption claims. A picture of plain paint has no material, one of oak no colour."""

    colour: str | None = None
    material: str | None = None


PLAIN = Look("gray", None)
"""The looks that a text without any style word ("a bear") is given: unpainted clay."""


def all_looks() -> list[Look]:
    """Every look a picture can have: colours, materials, and materials that come in colours."""
    looks = [Look(colour=colour) for colour in COLOURS]
    looks += [Look(material=material) for material in MATERIALS]
    looks += [Look(c, name) for name, material in MATERIALS.items() if material.colours for c in COLOURS]
    return looks


def relation(claim: Look, look: Look) -> int:
    """1: the claim is right for a picture of that look; -1: wrong; 0: a matter of taste, to be left out of the loss."""
    if claim == look:
        return 1
    if claim.material is not None and claim.material == look.material:
        # "blue marble" for a picture of blue marble was caught above; "marble" fits marble of any colour.
        if claim.colour is None:
            return 1 if look.colour is not None else 0
        return 0 if look.colour is None else -1
    if claim.material is None and look.material is not None:
        if look.colour is not None:
            # Patterns of a colour and white: "blue" is right for them, "white" arguable.
            return 1 if claim.colour == look.colour else (0 if claim.colour in ("white", "gray") else -1)
        return 0 if claim.colour in MATERIALS[look.material].also else -1
    if claim.material is not None and look.material is None:
        return 0 if claim.colour is None and look.colour in MATERIALS[claim.material].also else -1
    return -1


def caption(look: Look, draw: random.Random, strangers: list[str]) -> str:
    """A sentence that claims this look; now and then about a thing whose name the encoder will not know."""
    words = [draw.choice(SYNONYMS[part]) for part in (look.colour, look.material) if part is not None]
    thing = draw.choice(strangers) if draw.random() < 0.15 else draw.choice(OBJECTS)
    template = draw.choice(STYLE_TEMPLATES)
    return template.format(style=" ".join(words), object=thing, modifier=draw.choice(MODIFIERS))


def plain_caption(draw: random.Random) -> str:
    """A sentence that names a thing and no style."""
    return draw.choice(PLAIN_TEMPLATES).format(object=draw.choice(OBJECTS), modifier=draw.choice(MODIFIERS))


def unknown_caption(draw: random.Random, strangers: list[str]) -> str:
    """A sentence about something the pictures never show: right for none of them."""
    return draw.choice(UNKNOWN_TEMPLATES).format(word=draw.choice(strangers), object=draw.choice(OBJECTS))


def style_words() -> list[str]:
    """Words that move the picture, sorted (a set's own order differs from run to run)."""
    words = {word for phrases in SYNONYMS.values() for phrase in phrases for word in phrase.split()}
    return sorted(words - set(neutral_words()))


def neutral_words() -> list[str]:
    """Words that are known to say nothing about looks, sorted."""
    return sorted({*OBJECTS, *FILLERS, *MODIFIERS, "polished", "plated", "fresh", "carved"})


def stranger_words(count: int = 8000) -> list[str]:
    """Words that are no style and no known thing: the commonest whole words of CLIP's vocabulary (MIT licence)."""
    packed = files("open_clip") / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(packed.read_bytes()).decode().splitlines()[1 : 49152 - 256 - 2 + 1]
    whole = ["".join(pair.split()) for pair in merges if pair.endswith("</w>")]
    known = {*style_words(), *neutral_words()}
    words = [word.removesuffix("</w>") for word in whole]
    return [word for word in words if word.isalpha() and word.isascii() and 3 <= len(word) <= 12 and word not in known][
        :count
    ]
