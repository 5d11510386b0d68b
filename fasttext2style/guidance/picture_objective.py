"""One styling loss of a picture: the object's renders in, weighted losses out; beside that of a sentence, or alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.feature_maps import FeatureMaps
from fasttext2style.guidance.image_losses import structure
from fasttext2style.guidance.picture_losses import gram, gram_distance, matching, places_of

LEAST_SIDE = 32
"""Of what a feature network looks at, in pixels: below it, its maps have no places left."""
GRAM_SHARE = 0.2
"""Of the Gram distance beside matching: more of it makes colours run, less leaves rare parts of the picture out."""
_MOST_SQUARES = 4
_MOST_PLACES = 2048
"""Of the picture, that each place of a render is compared with."""


@dataclass
class PictureStyleConfig:
    """How renders are compared with a style picture."""

    loss: Literal["matching+gram", "matching", "gram"] = "matching+gram"
    """matching: each place of the object towards the place of the picture that is nearest to it (ARF, StyleSplat);
    gram: towards the picture's statistics as a whole (Gatys), so that all of it appears; or both."""
    weight: float = 1.0
    """Of this loss; beside a sentence, what the picture counts against it."""
    color_transfer: float = 1.0
    """How far the object's colours are moved to the picture's before the first step: 0 not at all, 1 to the same mean
    and hues."""
    content_weight: float = 0.1
    """What keeps the object's own edges (`structure`, free in colour) against the picture's."""
    scale: float = 1.0
    """How large the picture is beside the object: at 1 its shorter side is as long as the object's view, at 0.5 half,
    which makes its pattern finer."""
    size: int = 128
    """Side in pixels of views and picture when they are compared."""

    def check(self) -> None:
        """Raises ValueError for numbers out of range."""
        for name in ("weight", "content_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"picture.{name} must be 0 or more, got {getattr(self, name)}.")
        if not 0 <= self.color_transfer <= 1:
            raise ValueError(f"picture.color-transfer lies between 0 and 1, got {self.color_transfer}.")
        if not 0.1 <= self.scale <= 10:
            raise ValueError(f"picture.scale lies between 0.1 and 10, got {self.scale}.")
        if not LEAST_SIDE <= self.size <= 1024:
            raise ValueError(f"picture.size is from {LEAST_SIDE} to 1024 pixels, got {self.size}.")


class PictureObjective:
    """The loss of one picture on batches of renders.

    Args:
        config: how they are compared.
        features: the network that compares them.
        picture: sRGB and alpha in [0, 1]; what is transparent is no style.

    Raises:
        ValueError: settings out of range, or nothing of the picture can be seen.
    """

    def __init__(
        self,
        config: PictureStyleConfig,
        features: FeatureMaps,
        picture: Float[Tensor, "height width 4"],
        device: torch.device | str = "cpu",
    ) -> None:
        config.check()
        self.config, self.features = config, features
        picture = picture.to(device, torch.float32)
        if not bool((picture[..., 3] > 0).any()):
            raise ValueError("The style picture is wholly transparent: there is nothing to be seen in it.")
        self.mean, self.covariance = color_moments(picture[..., :3].flatten(0, 1), picture[..., 3].flatten())
        squares = squares_of(picture, max(LEAST_SIDE, round(config.size * config.scale)))
        self.squares, alphas = self._on_mean(squares[..., :3], squares[..., 3:]), squares[..., 3:]
        with torch.no_grad():
            places = [places_of(it, alphas) for it in features(self.squares)]
        self._style = [_of_the_picture(*it) for it in places]
        self._grams = [gram(*it) for it in places]

    def __call__(
        self,
        images: Float[Tensor, "views height width 3"],
        alphas: Float[Tensor, "views height width 1"],
        originals: Float[Tensor, "views height width 3"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Weighted losses by name of a batch of views, "picture" and "picture_content".

        Images show the object alone, premultiplied on black; `originals` are the untouched renders of the same views.
        """
        config = self.config
        seen, shown = (_resized(batch, config.size) for batch in (images, alphas.detach()))
        maps = [places_of(it, shown) for it in self.features(self._on_mean(seen, shown))]
        parts = []
        for places, style, style_gram in zip(maps, self._style, self._grams):
            if "matching" in config.loss:
                parts.append(matching(*_shown(*places), style))
            if "gram" in config.loss:
                share = GRAM_SHARE if "matching" in config.loss else 1.0
                parts.append(share * gram_distance(gram(*places), style_gram))
        losses = {"picture": config.weight * torch.stack(parts).sum() / len(maps)}
        if config.content_weight:
            losses["picture_content"] = config.content_weight * structure(images, originals)
        return losses

    @torch.no_grad()
    def similarity(
        self, encoder: TextImageEncoder, images: Float[Tensor, "views height width 3"]
    ) -> Float[Tensor, " views"]:
        """Cosine between each image as it is and the picture, by an encoder."""
        target = F.normalize(encoder.embed_images(self.squares).mean(0), dim=0)
        return torch.cat([encoder.embed_images(chunk) for chunk in images.split(16)]) @ target

    def _on_mean(self, images: Tensor, alphas: Tensor) -> Tensor:
        """Premultiplied images before the picture's mean colour, the one that adds no edges."""
        return images + (1 - alphas) * self.mean


def color_moments(
    colors: Float[Tensor, "places 3"], weights: Float[Tensor, " places"]
) -> tuple[Float[Tensor, " 3"], Float[Tensor, "3 3"]]:
    """Mean and covariance of colours, by weight."""
    share = (weights / weights.sum().clamp(min=1e-8)).double()
    mean = share @ colors.double()
    centred = colors.double() - mean
    return mean.to(colors), (centred.T @ (share[:, None] * centred)).to(colors)


def squares_of(picture: Float[Tensor, "height width 4"], side: int) -> Float[Tensor, "squares side side 4"]:
    """A picture as squares of `side` pixels along its longer side, premultiplied by alpha.

    As many as cover it, up to four; of a longer strip four, evenly spread.
    """
    height, width, _ = picture.shape
    short, long = min(height, width), max(height, width)
    count = min(-(-long // short), _MOST_SQUARES)
    starts = [round(place * (long - short) / max(count - 1, 1)) for place in range(count)]
    premultiplied = torch.cat([picture[..., :3] * picture[..., 3:], picture[..., 3:]], -1)
    cuts = [
        premultiplied[:, start : start + short] if width > height else premultiplied[start : start + short]
        for start in starts
    ]
    return _resized(torch.stack(cuts), side)


def _resized(images: Float[Tensor, "views height width c"], side: int) -> Float[Tensor, "views {side} {side} c"]:
    if images.shape[1:3] == (side, side):
        return images
    resized = F.interpolate(images.permute(0, 3, 1, 2), (side, side), mode="bilinear", antialias=True)
    return resized.permute(0, 2, 3, 1)


def _shown(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The places that show something of the object: about half of them, and the others cost as much."""
    there = weights > 1e-3
    return features[there], weights[there]


def _of_the_picture(features: Tensor, weights: Tensor) -> Tensor:
    """Places of the picture that are not transparent, or those that are least so; not more than suffice."""
    rows = features[weights >= 0.9 * weights.max()]
    return rows[:: -(-len(rows) // _MOST_PLACES)]
