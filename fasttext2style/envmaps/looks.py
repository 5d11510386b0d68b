"""What places look like, in three colours: zenith, horizon and ground of what a sentence names.

Two sources. `PAINTED` are words of light, weather and ground at their plainest, made by hand: few panoramas show a
sunset, one shows snow, and all are exposed to middle grey, nights too. `places.json` has what panoramas of Poly Haven
(CC0) with a tag look like in the mean (examples/make_places.py). A sentence gets a mixture of those that are nearest.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.tones import MIDDLE_GREY, luminance
from fasttext2style.guidance.encoder import TextImageEncoder

Colour = tuple[float, float, float]
_LEAST, _SHARPNESS = 0.45, 0.08
"""Cosine of two sentences, less what all have in common, from which on one speaks of the other; by how much less the
weight of a look falls to a third."""
_DARKEST, _WHITEST = 1e-3, 0.8
"""Below white, so that what is brighter than its surroundings is seen there, too."""


class Look(NamedTuple):
    """Linear colours, white is 1; between them it is mixed."""

    zenith: Colour
    horizon: Colour
    ground: Colour
    words: tuple[str, ...] = ()
    """What people write for it."""


PAINTED: dict[str, Look] = {
    "sunset": Look((0.12, 0.1, 0.22), (1.0, 0.32, 0.06), (0.09, 0.045, 0.03), ("sunset", "a sunset", "evening sun")),
    "night": Look((0.003, 0.005, 0.016), (0.01, 0.014, 0.035), (0.004, 0.005, 0.009), ("night", "dark night")),
    "snow": Look((0.5, 0.6, 0.75), (0.8, 0.85, 0.95), (0.85, 0.9, 1.0), ("snow", "snowy field", "winter")),
    "sunny day": Look((0.08, 0.22, 0.75), (0.45, 0.65, 0.95), (0.3, 0.3, 0.14), ("a sunny day", "clear sky", "day")),
    "beach": Look((0.1, 0.28, 0.8), (0.5, 0.72, 0.95), (0.75, 0.55, 0.3), ("beach", "sand terrain", "at the beach")),
    "forest": Look((0.12, 0.22, 0.08), (0.06, 0.13, 0.03), (0.06, 0.07, 0.02), ("forest", "with trees", "in a forest")),
    "overcast": Look((0.42, 0.44, 0.47), (0.55, 0.56, 0.58), (0.15, 0.15, 0.14), ("overcast", "cloudy", "grey sky")),
    "sunset forest": Look(
        (0.12, 0.1, 0.14), (0.9, 0.3, 0.06), (0.035, 0.04, 0.015), ("a sunset in a forest", "sunset, forest, trees")
    ),
    "studio": Look((0.25, 0.25, 0.25), (0.75, 0.74, 0.72), (0.3, 0.28, 0.26), ("indoor studio", "photo studio")),
}  # fmt: skip


@lru_cache(maxsize=1)
def all_looks() -> tuple[Look, ...]:
    """Painted ones, and of each tag of the packaged table that is no word of theirs."""
    painted = {word for look in PAINTED.values() for word in look.words}
    text = (files("fasttext2style.envmaps") / "places.json").read_text(encoding="utf-8")
    places = [_look(colours, (tag,)) for tag, colours in json.loads(text).items() if tag not in painted]
    return (*PAINTED.values(), *places)


def look_of(panorama: Float[Tensor, "rows width 3"]) -> tuple[Colour, Colour, Colour]:
    """Mean colours of a panorama above 30 degrees, within 10 degrees of the horizon, and below -20: zenith, horizon and
    ground; what is brighter than white counts as white."""
    heights = torch.linspace(90, -90, 2 * len(panorama) + 1)[1::2]
    weights, light = heights.deg2rad().cos(), panorama.clamp(0, 1).mean(dim=1)

    def mean(part: Tensor) -> Colour:
        red, green, blue = ((weights * part) @ light / (weights * part).sum()).tolist()
        return red, green, blue

    return mean(heights > 30), mean(heights.abs() < 10), mean(heights < -20)


@torch.no_grad()
def look_for(prompt: str, encoder: TextImageEncoder) -> Look | None:
    """A mixture of the looks whose words are nearest to a sentence, or None if it speaks of none of them.

    Nearness is the encoder's; words that it does not know are left out, and one that does not know most of them knows
    no places.
    """
    looks = all_looks()
    said = [(word, number) for number, look in enumerate(looks) for word in look.words]
    said = [(word, number) for word, number in said if not encoder.coverage(word).unknown]
    if 2 * len({number for _, number in said}) < len(looks):
        return None
    words = encoder.embed_texts([word for word, _ in said])
    common = words.mean(dim=0)
    near = F.normalize(words - common, dim=1) @ F.normalize(encoder.embed_texts([prompt])[0] - common, dim=0)
    best = near.new_full((len(looks),), -1.0)
    best = best.scatter_reduce(0, torch.tensor([number for _, number in said], device=near.device), near, "amax").cpu()
    if float(best.max()) < _LEAST:
        return None
    shares = ((best - best.max()) / _SHARPNESS).exp() * (best >= _LEAST)
    colours = torch.tensor([look[:3] for look in looks]).clamp_min(_DARKEST).log()
    mixed = torch.einsum("l,lpc->pc", shares / shares.sum(), colours).exp()
    mixed *= min(1.0, _WHITEST / float(mixed.max()))
    order = best.argsort(descending=True)[:3].tolist()
    return _look(mixed.tolist(), tuple(looks[index].words[0] for index in order if shares[index] > 0.05))


def _look(colours: list[list[float]], words: tuple[str, ...]) -> Look:
    zenith, horizon, ground = ((red, green, blue) for red, green, blue in colours)
    return Look(zenith, horizon, ground, words)


def layout(look: Look, rows: int) -> Float[Tensor, "rows 1 3"]:
    """Linear colours of a look from the zenith down; the ground begins a little below the horizon, softly."""
    up = torch.linspace(1, -1, rows)[:, None, None]
    zenith, horizon, ground = (torch.tensor(colour) for colour in look[:3])
    sky = torch.lerp(horizon, zenith, up.clamp(0, 1).sqrt())
    return torch.lerp(sky, ground, (0.5 - 6 * up).clamp(0, 1))


def shade_of(panorama: Float[Tensor, "*pixels 3"]) -> Float[Tensor, "*pixels 1"]:
    """A quarter of light and dark, as factors; 1 for middle grey."""
    return (luminance(panorama)[..., None].clamp(0.01, 4) / MIDDLE_GREY) ** 0.25


def seen_in(panorama: Float[Tensor, "rows width 3"], look: Look) -> Float[Tensor, "rows width 3"]:
    """A panorama, exposed to middle grey, with sky, horizon and ground in the colours of a look: linear, below white.

    Light and dark of what stands there stay as a quarter of themselves, as factors of the odds to white.
    """
    shade = shade_of(panorama)
    colours = layout(look, len(panorama)).to(panorama)
    return colours * shade / (1 - colours + colours * shade)
