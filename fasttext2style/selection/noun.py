"""Which of the candidates a sentence speaks of: "a bear made of gold" means the bear.

The network that guides the style looks at each candidate by itself, if it knows the words at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render, render_values
from fasttext2style.selection.seen import some_views
from fasttext2style.selection.selection import Selection

VIEWS = 4
"""In which a candidate is the largest."""
LEAST_LEAD = 0.02
"""By which cosine another candidate must fit better than the likeliest, to be taken in its place; encoders whose
cosines vary more for no reason have a `least_lead` of their own."""
GREY = 0.5

_GO_AWAY = {"remove", "delete", "replace"}
_VERBS = {"turn", "make", "change", "transform", "convert", "paint", "color", "colour", "give", "render"} | _GO_AWAY
_STYLE = re.compile(
    r"\b(made|in|style|with|like|into|out|covered|carved|painted|wearing|looks?|looking|as|of|to|from|which|that|by|on|"
    r"becom(?:es?|ing))\b|[,;:.]",
    re.I,
)
_ADDED = {"with", "wearing"}
"""What follows is only a part of the look."""
_ARTICLES = {"a", "an", "the", "my", "our", "his", "her", "their", "please"}
_NO_NAMES = {"it", "this", "that", "them", "everything", "object", "thing", "something", "all"}


def noun_phrase(sentence: str) -> str:
    """What a sentence calls the object, "bear" or "blue crate"; "" if it does not.

    Adjectives belong to the name only where the look is said elsewhere: "a blue crate made of gold" names a blue crate,
    "a blue bear" wants a bear to be blue, and "paint the crate blue" a crate. "A red bear with stripes" is wished for,
    "the red bear with stripes" is there.
    """
    phrase, *style = _STYLE.split(sentence.strip(), maxsplit=1)
    if style and style[0] and style[0].lower() in _ADDED and phrase.lower().startswith(("a ", "an ")):
        style = []
    words = [word for word in phrase.lower().split() if word != "please"]
    verb = words.pop(0) if words and words[0] in _VERBS else ""
    words = [word for word in words if word not in _ARTICLES]
    if not words or words[0] in _NO_NAMES:
        return ""
    if not style and verb not in _GO_AWAY:
        words = words[:-1] if verb else words[-1:]
    return " ".join(words)


@dataclass(frozen=True)
class Named:
    """What a sentence's noun did to the choice."""

    number: int
    """Of the candidate, from 0."""
    said: str
    """What people should know about it."""


def named_among(
    encoder: TextImageEncoder | None,
    sentence: str,
    gaussians: Gaussians,
    cameras: Cameras,
    candidates: list[Selection],
) -> Named:
    """The candidate that a sentence names; the first, the likeliest, where the encoder cannot tell.

    Args:
        encoder: None where no text-image network is loaded.
        candidates: at least one, the likeliest first.
    """
    phrase = noun_phrase(sentence)
    if not phrase:
        return Named(0, "")
    if encoder is None or not encoder.coverage(phrase).known:
        who = "no text-image encoder is loaded" if encoder is None else f"encoder {encoder.name} does not know it"
        return Named(0, f"'{phrase}' was not used to find the object: {who}.")
    text = encoder.embed_texts([phrase])[0]
    fits = [float((_looks(encoder, gaussians, cameras, one) @ text).mean()) for one in candidates]
    best = max(range(len(fits)), key=fits.__getitem__)
    if best == 0 or fits[best] - fits[0] < getattr(encoder, "least_lead", LEAST_LEAD):
        return Named(0, "")
    return Named(
        best,
        f"Of {len(candidates)} candidates, '{phrase}' fits number {best + 1} best, so that is taken; the likeliest "
        "without the sentence is --object 1.",
    )


@torch.no_grad()
def _looks(
    encoder: TextImageEncoder, gaussians: Gaussians, cameras: Cameras, candidate: Selection
) -> Float[Tensor, "views embedding"]:
    """The candidate on plain grey, cropped to it, in the views that show most of it."""
    gaussians, views = gaussians.detach(), some_views(cameras)
    weights = candidate.weights.to(gaussians.means)[:, None]
    coverage = torch.cat([render_values(gaussians, view, weights)[0] for view in views])[..., 0].clamp(0, 1)
    largest = coverage.sum(dim=(1, 2)).argsort(descending=True)[:VIEWS]
    crops = []
    for view in largest.tolist():
        image = render(gaussians, views[view])[0][0].clamp(0, 1)
        alone = torch.lerp(torch.full_like(image, GREY), image, coverage[view][..., None])
        crops.append(encoder.embed_images(_cropped(alone, coverage[view])[None])[0])
    return torch.stack(crops)


def _cropped(image: Float[Tensor, "height width 3"], coverage: Float[Tensor, "height width"]) -> Float[Tensor, "h w 3"]:
    """A square around what is covered, with a tenth of room, as far as the picture reaches."""
    rows, columns = (coverage > 0.5).nonzero(as_tuple=True)
    if len(rows) == 0:
        return image
    middle = [(int(axis.min()) + int(axis.max())) / 2 for axis in (rows, columns)]
    half = 0.6 * (1 + max(int(axis.max()) - int(axis.min()) for axis in (rows, columns)))
    (top, left), (bottom, right) = (
        [max(0, round(value - half)) for value in middle],
        [round(value + half) + 1 for value in middle],
    )
    return image[top:bottom, left:right]
