"""The encoder that knows things, materials and colours of the real world without a hub: `OfflineEncoder`.

An embedding has three parts, one for each eye: the pooled features of EfficientNet-Lite0 (things and patterns, nearly
blind to colour), a trained projection of statistics of two earlier depths (textures of materials), and a palette. A
text's parts are as long as each eye has something to say about it. Images are [views, height, width, 3], sRGB in
[0, 1].
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fasttext2style.guidance.encoder import Coverage
from fasttext2style.guidance.local_colors import Palette
from fasttext2style.guidance.offline.image_tower import load_image_tower
from fasttext2style.guidance.offline.knowledge import Looks, centred, centred_rows, fitted, load_knowledge
from fasttext2style.guidance.offline.packages import IMAGE_WEIGHTS, TEXT_WEIGHTS, TOKENIZER, packaged
from fasttext2style.guidance.offline.palette import (
    NAMED,
    SPREADS,
    Painted,
    direction,
    mixed,
    painted_in,
    palette_of,
    unmixed,
)
from fasttext2style.guidance.offline.sentences import (
    COLOURS,
    FILLERS,
    SHADES,
    Parts,
    foreign,
    metal_of,
    parts_of,
    words_of,
)
from fasttext2style.guidance.offline.text_tower import TextTower
from fasttext2style.guidance.oklab import oklab_of

RESOLUTION = 112
RESOLUTIONS = (96, 224)

EYES = (0.8, 0.55, 0.24)
"""Lengths of an image embedding's parts: things, textures, palette."""

HUE = 0.1
"""See `_hue_held`."""

PUSH = 150.0
"""Factor of the gradient, not of the value, of the palette. A pattern's gradients are a hundred times as large and
of either sign: an optimiser that scales its steps by their size, as Adam does, would not see that of the colours."""

SOME_COLOURS = 0.2
"""Length of a predicted palette from which on it says something."""

KNOWN = 0.5
"""Confidence from which on a word counts as known."""


class Understood(NamedTuple):
    """A phrase, and what it is taken for."""

    phrase: str
    confidence: float
    """Estimated chance that the look asked for is the one that is meant."""
    nearest: tuple[tuple[str, float], ...]
    """Names of known things with their cosine, the nearest first."""


class OfflineEncoder:
    """Implements `TextImageEncoder`; networks frozen and in eval mode."""

    least_lead = 0.1
    """By which cosine one picture must fit a name better than another to be what is named. Measured on the toy scene:
    the ball leads by .16 for "ball", .14 for "soccer ball", and by up to .09 for what is not it ("table", "statue")."""

    def __init__(
        self,
        weights: str | Path | None = None,
        device: torch.device | str = "cpu",
        resolution: int = RESOLUTION,
    ) -> None:
        """Loads the packaged networks and the trained part, or that of another run of the training script.

        Raises:
            ValueError: the extra is not installed or other than known; a resolution out of range; another file.
        """
        low, high = RESOLUTIONS
        if not low <= resolution <= high:
            raise ValueError(f"Encoder offline looks at {low} to {high} pixels a side, got {resolution}.")
        self.resolution = resolution
        self.name = "offline" if resolution == RESOLUTION else f"offline-{resolution}"
        self.device = torch.device(device)
        image_weights = packaged(IMAGE_WEIGHTS)
        self._text_weights, self._tokenizer = packaged(TEXT_WEIGHTS), packaged(TOKENIZER)
        self._know = load_knowledge(Path(weights) if weights else None)
        self._tower, classifier, _ = load_image_tower(image_weights)
        self._tower.to(self.device)
        self._classes = centred_rows(classifier)
        know = self._know
        self._projection, self._mean, self._deviation = (
            tensor.to(self.device) for tensor in (know.projection, know.mean, know.deviation)
        )

    @cached_property
    def text_tower(self) -> TextTower:
        """Loaded when a phrase is first asked for: the judge of a picture needs it late."""
        return TextTower(self._text_weights, self._tokenizer, torch.device("cpu"))

    @cached_property
    def _duals(self) -> Looks:
        """Coefficients of the regressions from phrases to looks."""
        know, kinds = self._know, self._know.kinds.long()
        rows = torch.cat([self._classes, know.rows])
        textures = torch.cat([know.textures.new_zeros(len(self._classes), know.textures.shape[1]), know.textures])
        shown, has_colours = kinds >= 0, know.palettes.any(-1)
        duals = Looks(*(known.new_zeros(len(kinds), known.shape[1]) for known in (rows, textures, know.palettes)))
        for dual, some, targets in (
            (duals.things, shown, rows[kinds[shown]]),
            (duals.textures, shown, textures[kinds[shown]]),
            (duals.palettes, has_colours, know.palettes[has_colours]),
        ):
            dual[some] = fitted(know.embeddings[some], targets, know.sharpness, know.ridge)
        return duals

    def looks(self, phrases: Float[Tensor, "phrases 384"]) -> Looks:
        """What phrases should look like, by their MiniLM embeddings."""
        near = self._know.kernel(phrases, self._know.embeddings)
        things, textures, palettes = (near @ dual for dual in self._duals)
        palettes = palettes.clamp(min=0)
        return Looks(things, textures, palettes)

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> Float[Tensor, "texts embedding"]:
        """Unit embeddings. A text without any look ("", "it is") has the palette of everything: it fits nothing."""
        parts = [self.parts(text) for text in texts]
        # One pass for all phrases.
        phrases = list(dict.fromkeys(part.look for part in parts if part.look))
        embedded = dict(zip(phrases, self.text_tower.phrases(phrases)))
        return torch.stack([self._text(part.look, part.colours, embedded) for part in parts]).to(self.device)

    def embed_negatives(self, texts: list[str]) -> Float[Tensor, "texts embedding"]:
        """As `embed_texts`, without palettes: drawn words are mostly brown and grey, and red would flee into purple."""
        embedded = self.embed_texts(texts)
        palette = embedded.shape[1] - len(NAMED) * len(SPREADS)
        looks = torch.cat([embedded[:, :palette], torch.zeros_like(embedded[:, palette:])], -1)
        # A word of nothing but colour stays what it is.
        says = looks.abs().sum(-1, keepdim=True) > 0
        return torch.where(says, functional.normalize(looks, dim=-1), embedded)

    def embed_images(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        """Unit embeddings, differentiable to the pixels; of other sizes than `resolution`: resized, antialiased."""
        pixels = self._prepared(images)
        return self._seen(_hue_held(pixels, HUE), pixels.detach() + PUSH * (pixels - pixels.detach()))

    def embed_patterns(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        """The same numbers; their gradients are those of the pattern alone."""
        pixels = self._prepared(images)
        return self._seen(_hue_held(pixels, 0.0), pixels.detach())

    def _seen(self, pixels: Tensor, coloured: Tensor) -> Float[Tensor, "views embedding"]:
        seen = self._tower(pixels)
        textures = texture_of(seen.statistics, self._projection, self._mean, self._deviation)
        parts = (centred(seen.pooled), textures, palette_of(coloured))
        return torch.cat([length * part for length, part in zip(EYES, parts)], -1)

    @torch.no_grad()
    def palette(self, text: str) -> Palette | None:
        """Colours of what `text` asks for; None if it says nothing of colours."""
        parts, painted = self.parts(text), None
        if parts.look:
            roots = self.looks(self.text_tower.phrases([parts.look])).palettes[0]
            if float(roots.norm()) > SOME_COLOURS:
                painted = unmixed(functional.normalize(roots, dim=-1).square())
        if parts.colours:
            painted = recoloured(painted, parts.colours)
        if painted is None:
            return None
        return Palette(oklab_of(painted.rgb).to(self.device), painted.shares.to(self.device), not parts.look)

    def image_features(self, images: Float[Tensor, "views height width 3"]) -> list[Float[Tensor, "views c h w"]]:
        """Maps at 1/8 and 1/16 of `resolution`."""
        seen = self._tower(self._prepared(images))
        return [seen.eighth, seen.sixteenth]

    def junk_embeddings(self) -> Float[Tensor, "junk embedding"]:
        """What speckle, patchworks and half-styled objects look like to the three eyes."""
        return self._know.junk.to(self.device)

    def coverage(self, text: str) -> Coverage:
        """Which words of `text` name a look that is known, are in the way of it, or say nothing."""
        words = tuple(dict.fromkeys(words_of(text)))
        if foreign(text):
            return Coverage(known=(), unknown=tuple(dict.fromkeys(re.findall(r"\w+", text.lower()))))
        parts = parts_of(text, self._coloured_names)
        said = {word for colour in parts.colours for word in colour.split()} | set(parts.look.split())
        known = {word for word in words if word in said and self._knows(word)}
        if (rest := [word for word in parts.look.split() if word not in known]) and len(parts.look.split()) > 1:
            # "polka dots": what is unknown alone may be known together, but not what nobody can see.
            whole = self.understood([parts.look])[0].confidence >= KNOWN
            known |= {word for word in rest if whole and self._visible([word])[0] > 0}
        neutral = {word for word in words if word not in known and (word in FILLERS or word not in said)}
        return Coverage(
            known=tuple(word for word in words if word in known),
            unknown=tuple(word for word in words if word not in known and word not in neutral),
            neutral=tuple(word for word in words if word in neutral),
        )

    def parts(self, text: str) -> Parts:
        """What names the look, its colours, and what wears it; of a look that is not known as a whole the words that
        are. Where none is, a sentence with a colour means that colour: "a cute red bear" is red."""
        parts = parts_of(text, self._coloured_names)
        words = parts.look.split()
        if not words or len(words) + len(parts.colours) < 2 or self.understood([parts.look])[0].confidence >= KNOWN:
            return parts
        known = " ".join(word for word in words if self._knows(word))
        if not known and not parts.colours:
            return parts
        return parts._replace(look=known or metal_of(parts.colours))

    def explain(self, text: str) -> str:
        """One line: which part of the sentence moves what."""
        parts = self.parts(text)
        said = []
        if parts.look:
            understood = self.understood([parts.look])[0]
            looks = Looks(*(part[0] for part in self.looks(self.text_tower.phrases([parts.look]))))
            eyes = ["pattern"]
            eyes += ["texture"] if float(looks.textures.norm()) > 0.3 else []
            eyes += [] if parts.colours else ["colours"]
            name, _ = understood.nearest[0]
            like = "" if name == parts.look else f", as of {name}"
            said.append(f"{parts.look!r} moves {' and '.join(eyes)}{like} (chance {understood.confidence:.0%})")
        if parts.colours:
            said.append(f"{' and '.join(map(repr, parts.colours))} moves the colours")
        if parts.wearer:
            said.append(f"{parts.wearer!r} only wears it")
        return f"Encoder {self.name}: {'; '.join(said) or 'nothing in it moves anything'}."

    def understood(self, phrases: list[str], nearest: int = 4) -> list[Understood]:
        """What phrases (see `parts_of`) are taken for."""
        embedded = self.text_tower.phrases(phrases)
        cosines = embedded @ self._know.embeddings.mT
        best, which = cosines.topk(min(4 * nearest, cosines.shape[1]))
        visible = self._visible(phrases)
        first, second, bias = self._know.calibration.tolist()
        found = []
        for row, phrase in enumerate(phrases):
            names: dict[str, float] = {}
            for index, cosine in zip(which[row].tolist(), best[row].tolist()):
                only_colours = " (its colours)" if self._know.kinds[index] < 0 else ""
                names.setdefault(self._know.names[index] + only_colours, cosine)
            logit = torch.tensor(first * float(best[row, 0]) + second * visible[row] + bias)
            found.append(Understood(phrase, float(logit.sigmoid()), tuple(names.items())[:nearest]))
        return found

    def _visible(self, phrases: list[str]) -> list[float]:
        """Logits of whether phrases name what can be seen."""
        weights = self._know.visible
        return (self.text_tower.phrases(phrases) @ weights[:-1] + weights[-1]).tolist()

    def _knows(self, word: str) -> bool:
        if word in COLOURS or word in SHADES or word in self._know.bank:
            return True
        if word in FILLERS:
            return False
        return word not in _bank() and self.understood([word])[0].confidence >= KNOWN

    @cached_property
    def _coloured_names(self) -> frozenset[str]:
        """Things with a colour in their names: a red fox is no fox that is red."""
        return frozenset(name for name in self._know.names if set(name.split()) & set(COLOURS))

    def _text(self, look: str, colours: tuple[str, ...], embedded: dict[str, Tensor]) -> Float[Tensor, " embedding"]:
        if look:
            things, textures, roots = (part[0] for part in self.looks(embedded[look][None]))
        else:
            things, textures, roots = (torch.zeros(dual.shape[1]) for dual in self._duals)
        lengths = [min(1.0, float(part.norm())) for part in (things, textures, roots)]
        shares = functional.normalize(roots, dim=-1).square()
        if colours:
            painted = recoloured(unmixed(shares) if look and lengths[2] > SOME_COLOURS else None, colours)
            shares, lengths[2] = mixed(painted), 1.0
        elif not any(lengths):
            lengths[2] = 1.0  # the palette of no colour in particular
        parts = (
            functional.normalize(things, dim=-1),
            functional.normalize(textures, dim=-1),
            direction(shares[None])[0],
        )
        joined = torch.cat([eye * length * part for eye, length, part in zip(EYES, lengths, parts)])
        return functional.normalize(joined, dim=-1)

    def _prepared(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views 3 _ _"]:
        pixels = images.to(self.device, torch.float32).permute(0, 3, 1, 2)
        size = (self.resolution, self.resolution)
        if pixels.shape[-2:] != size:
            # Antialiased: without it many pixels of a large render get no gradient and turn into noise.
            pixels = functional.interpolate(pixels, size, mode="bilinear", antialias=True)
        return pixels


def _hue_held(pixels: Float[Tensor, "views 3 height width"], share: float) -> Float[Tensor, "views 3 height width"]:
    """The same pixels; gradients reach them as changes of brightness, and of hue by a share.

    The network is nearly blind to overall colour, but optimised freely it leaves a fine noise of all hues.
    """
    brightness = pixels.mean(1, keepdim=True)
    moving = share * pixels + (1 - share) * brightness
    return pixels.detach() + moving - moving.detach()


def texture_of(
    statistics: Float[Tensor, "views 304"],
    projection: Float[Tensor, "texture 304"],
    mean: Float[Tensor, " 304"],
    deviation: Float[Tensor, " 304"],
) -> Float[Tensor, "views texture"]:
    """Unit directions of standardised statistics, squashed: no channel may shout down the others."""
    return functional.normalize(torch.tanh((statistics - mean) / deviation / 2) @ projection.mT, dim=-1)


def recoloured(own: Painted | None, colours: tuple[str, ...]) -> Painted:
    """A look that is asked for in other colours: they, beside the black and white of its own.

    Blue tiger stripes are blue and black. Of a look of nothing but black and white the one that is farther from the
    asked colour stays: a red zebra is red and black. Several colours make the pattern by themselves.
    """
    asked = painted_in(colours)
    if own is None or len(colours) > 1:
        return asked
    light = oklab_of(asked.rgb)[:, 0].mean() < 0.5
    extremes = own.rgb.amax(1) - own.rgb.amin(1) < 0.05
    extremes &= (own.rgb.mean(1) < 0.3) | (own.rgb.mean(1) > 0.9)
    if float(own.shares[extremes].sum()) > 0.75:
        extremes &= (own.rgb.mean(1) > 0.5) == light
    kept = own.shares[extremes]
    if float(kept.sum()) < 0.2:
        return asked
    return Painted(torch.cat([asked.rgb, own.rgb[extremes]]), torch.cat([asked.shares * (1 - kept.sum()), kept]))


@cache
def _bank() -> frozenset[str]:
    from fasttext2style.guidance.prompts import word_bank

    return frozenset(word_bank())
