"""How far renders are from the style of a picture, by the features of both: pure functions.

Feature maps are [views, channels, height, width]. Places of renders count by how much of the object they show, so the
background plays no part.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def matching(
    features: Float[Tensor, "places channels"],
    weights: Float[Tensor, " places"],
    style: Float[Tensor, "style_places channels"],
) -> Float[Tensor, ""]:
    """Cosine distance of each place to the place of the picture that is nearest to it, averaged by weight.

    Nearest-neighbour feature matching: ARF (Zhang et al. 2022), equation 2, which StyleSplat takes for single objects
    of 3DGS scenes. 0 where every place is found in the picture, 1 where nothing in it has anything in common with it.
    """
    units, style_units = F.normalize(features, dim=-1), F.normalize(style, dim=-1)
    with torch.no_grad():
        nearest = torch.cat([(chunk @ style_units.T).argmax(-1) for chunk in units.split(4096)])
    distances = 1 - (units * style_units[nearest]).sum(-1)
    return (weights * distances).sum() / weights.sum().clamp(min=1e-8)


def gram(
    features: Float[Tensor, "places channels"], weights: Float[Tensor, " places"]
) -> Float[Tensor, "channels channels"]:
    """Mean of the outer products of the places' features, by weight: which features come together, not where.

    Gatys, Ecker, Bethge (2016), equation 3, divided by the number of places, for an object has fewer than a picture.
    """
    return (features * weights[:, None]).T @ features / weights.sum().clamp(min=1e-8)


def gram_distance(
    now: Float[Tensor, "channels channels"], style: Float[Tensor, "channels channels"]
) -> Float[Tensor, ""]:
    """Squared difference over the squared norm of the style's: 0 for the same, 1 for an image without any features."""
    return (now - style).square().sum() / style.square().sum().clamp(min=1e-12)


def places_of(
    features: Float[Tensor, "views channels height width"], alphas: Float[Tensor, "views rows columns 1"]
) -> tuple[Float[Tensor, "places channels"], Float[Tensor, " places"]]:
    """The places of a map as rows, and how much of the object each of them shows, in [0, 1]."""
    height, width = features.shape[-2:]
    shown = F.adaptive_avg_pool2d(alphas.permute(0, 3, 1, 2), (height, width))
    return features.permute(0, 2, 3, 1).flatten(0, 2), shown.flatten()
