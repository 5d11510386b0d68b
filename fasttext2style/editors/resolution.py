"""The editor's number of pixels and the picture's: from one to the other, and back without a blur."""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.image_losses import LUMINANCE

FAINTEST = 0.05
"""Added to brightnesses before they are compared: in the dark their ratio would be noise."""
LARGEST_FACTOR = 1.6
"""Detail makes a pixel at most this much brighter or darker; more is an edge that the edit has moved."""


def native_crop_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width in a picture's proportions with about side x side pixels, in multiples of side / 8.

    Multiples, because diffusion models halve their latents several times: 480 x 640 at 512 is 448 x 576.
    """
    step = max(1, side // 8)
    shares = math.sqrt(height / width), math.sqrt(width / height)
    tall, wide = (max(1, round(side * share / step)) * step for share in shares)
    return tall, wide


def resized(image: Float[Tensor, "rows columns channels"], height: int, width: int) -> Float[Tensor, "h w channels"]:
    """Another number of pixels, antialiased; the very image if the size is the same."""
    if image.shape[:2] == (height, width):
        return image
    channels_first = image.movedim(-1, 0)[None]
    # Bilinear for masks and depths, which bicubic would overshoot.
    mode = "bicubic" if image.shape[-1] == 3 else "bilinear"
    scaled = F.interpolate(channels_first, (height, width), mode=mode, antialias=True)[0].movedim(0, -1)
    return scaled.clamp(0, 1) if mode == "bicubic" else scaled


def with_detail(
    edited: Float[Tensor, "height width 3"], original: Float[Tensor, "height width 3"], seen: tuple[int, int]
) -> Float[Tensor, "height width 3"]:
    """An enlarged edit with the light and dark of the original that the editor was too coarse to see.

    An enlarged edit alone is a blur, and Gaussians that train towards it lose their texture round by round. What the
    original has beyond the editor's resolution is put back as a factor of brightness, which keeps the edit's hue.

    Args:
        edited: in [0, 1], enlarged from `seen`.
        original: the same part of the picture before the edit.
        seen: height and width that the editor worked at; nothing is added where it saw every pixel.
    """
    height, width = original.shape[:2]
    if seen[0] >= height and seen[1] >= width:
        return edited
    coarse, weights = resized(resized(original, *seen), height, width), original.new_tensor(LUMINANCE)
    factor = (original @ weights + FAINTEST) / (coarse @ weights + FAINTEST)
    return (edited * factor.clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR)[..., None]).clamp(0, 1)
