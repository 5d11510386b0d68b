"""The encoder that guides styling: one protocol, loaded by name.

Encoders are plain objects that hold frozen networks. They are never attributes of an `nn.Module`: checkpoints would
contain them, and the model's train() would switch them.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.coverage import Coverage


@runtime_checkable
class TextImageEncoder(Protocol):
    """Embeds images and texts into one space, where the cosine says how well they fit."""

    name: str
    """Model and weights, for reports."""
    resolution: int
    """Height and width in pixels of the images it looks at."""

    def embed_texts(self, texts: list[str]) -> Float[Tensor, "texts embedding"]:
        """Unit-norm embeddings, averaged over the encoder's own templates; no gradient."""
        ...

    def embed_images(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        """Unit-norm embeddings, differentiable to the pixels; other sizes are resized with antialiasing."""
        ...

    def image_features(self, images: Float[Tensor, "views height width 3"]) -> list[Float[Tensor, "views c h w"]]:
        """Feature maps from inside the image network, differentiable to the pixels."""
        ...

    def junk_embeddings(self) -> Float[Tensor, "junk embedding"]:
        """Unit-norm embeddings of what no prompt means (noise, artifacts): constant negatives."""
        ...

    def coverage(self, text: str) -> Coverage:
        """Which words of `text` the encoder has learned."""
        ...


def load_encoder(name: str, weights: str | None = None, device: torch.device | str = "cpu") -> TextImageEncoder:
    """Load an encoder, frozen and in eval mode.

    `name` is "tiny" (embedded in this package, knows colours and materials, needs no download) or any model name of
    open_clip. `weights` is a path to a file, a tag of open_clip, or None for the model's default.

    Raises:
        ValueError: unknown model, unknown tag, weights that cannot be had or do not fit; says what to do instead.
    """
    if name == "tiny":
        from fasttext2style.guidance.tiny_encoder import TinyEncoder

        return TinyEncoder(weights, device)
    from fasttext2style.guidance.open_clip_encoder import load_open_clip_encoder

    return load_open_clip_encoder(name, weights, device)
