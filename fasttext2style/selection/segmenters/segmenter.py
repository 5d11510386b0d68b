"""What a text names, in images: the interface.

Images are [views, height, width, 3], sRGB in [0, 1]. Masks are [views, height, width] in [0, 1], 1 where the text fits.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from PIL import Image
from torch import Tensor


@runtime_checkable
class Segmenter(Protocol):
    """Finds what a text names."""

    name: str
    """For reports."""

    def masks(self, images: Float[Tensor, "views height width 3"], text: str) -> Float[Tensor, "views height width"]:
        """How sure a pixel shows what the text names; above 0.5 it does. All 0 where a view shows no such thing.

        Raises:
            ValueError: a text that this segmenter cannot understand.
        """
        ...


def pictures_of(images: Float[Tensor, "views height width 3"]) -> list[Image.Image]:
    """As the processors of transformers take them, whatever their version: 8 bit pictures."""
    return [Image.fromarray((image.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()) for image in images]
