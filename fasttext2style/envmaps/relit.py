"""Panoramas in another light, made by hand: what words of light, weather and ground look like at their plainest.

Few panoramas show a sunset, one shows snow, and all are exposed to middle grey, nights too: what is learnt from them
alone makes sunsets blue and nights orange, as their lamps are. So each panorama is also shown as it would be painted in
a children's book: sky and ground become those of the word, as far as `SHARE`, and what stands there stays.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.folder import Captioned
from fasttext2style.envmaps.tones import luminance

SHARE = 0.75
LIGHT_CATEGORIES = frozenset(
    ("sunrise-sunset", "midday", "morning-afternoon", "night", "clear", "partly cloudy", "overcast", "pure skies")
)
"""What is no longer true of a panorama in another light."""
Colour = tuple[float, float, float]


class Look(NamedTuple):
    """Linear colours of a word, white is 1; between them it is mixed."""

    zenith: Colour
    horizon: Colour
    ground: Colour
    words: tuple[str, ...]
    """What people write for it."""


LOOKS: dict[str, Look] = {
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


def relit(panoramas: Float[Tensor, "panoramas rows width 3"], look: Look) -> Float[Tensor, "panoramas rows width 3"]:
    """In the light of a look; light and dark of what stands there stay as a quarter of themselves."""
    rows = panoramas.shape[1]
    up = torch.linspace(1, -1, rows)[:, None, None]
    zenith, horizon, ground = (torch.tensor(colour) for colour in look[:3])
    sky = torch.lerp(horizon, zenith, up.clamp(0, 1).sqrt())
    # The ground begins a little below the horizon, softly.
    painted = torch.lerp(sky, ground, (0.5 - 6 * up).clamp(0, 1))
    shine = luminance(panoramas)[..., None].clamp(0.01, 4)
    shaded = painted * (shine / 0.18) ** 0.25
    return torch.lerp(panoramas.clamp_max(4) * painted / painted.mean(), shaded, SHARE)


def said_of_relit(one: Captioned, look: Look) -> list[str]:
    """Sentences about a panorama in the light of a look: the look alone, and with what stands there."""
    stays = [word for word in (*one.tags, *one.categories) if word not in LIGHT_CATEGORIES][:3]
    return [*look.words, *(", ".join((word, *stays)) for word in look.words)]
