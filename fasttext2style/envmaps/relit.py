"""Panoramas in the light of a word, for an encoder to learn from.

As they would be painted in a children's book: sky and ground become those of the word (`looks.py`), as far as `SHARE`,
and what stands there stays.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.folder import Captioned
from fasttext2style.envmaps.looks import Look, layout, shade_of

SHARE = 0.75
LIGHT_CATEGORIES = frozenset(
    ("sunrise-sunset", "midday", "morning-afternoon", "night", "clear", "partly cloudy", "overcast", "pure skies")
)
"""What is no longer true of a panorama in another light."""


def relit(panoramas: Float[Tensor, "panoramas rows width 3"], look: Look) -> Float[Tensor, "panoramas rows width 3"]:
    """In the light of a look; light and dark of what stands there stay as a quarter of themselves."""
    colours = layout(look, panoramas.shape[1])
    return torch.lerp(panoramas.clamp_max(4) * colours / colours.mean(), colours * shade_of(panoramas), SHARE)


def said_of_relit(one: Captioned, look: Look) -> list[str]:
    """Sentences about a panorama in the light of a look: the look alone, and with what stands there."""
    stays = [word for word in (*one.tags, *one.categories) if word not in LIGHT_CATEGORIES][:3]
    return [*look.words, *(", ".join((word, *stays)) for word in look.words)]
