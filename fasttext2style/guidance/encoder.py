"""The encoder that guides styling: one protocol; `load` finds one by name.

Encoders are plain objects that hold frozen networks. They are never attributes of an `nn.Module`: checkpoints would
contain them, and the model's train() would switch them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.local_colors import Palette


@dataclass(frozen=True)
class Coverage:
    """A prompt's words by what the encoder makes of them, each in the order of its first appearance."""

    known: tuple[str, ...]
    """Words that move the picture: colours, materials, patterns. An encoder of open vocabulary puts all words here."""

    unknown: tuple[str, ...]
    """Words the encoder never saw. They are guessed from their spelling, which seldom helps."""

    neutral: tuple[str, ...] = ()
    """Words that were learnt as saying nothing about looks: "a", "made", "of", "bear", "photo"."""


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


@runtime_checkable
class ExplainsItself(Protocol):
    """An encoder that can say what it makes of a sentence."""

    def explain(self, text: str) -> str:
        """One line: which part of the sentence moves what."""
        ...


@runtime_checkable
class HasNegatives(Protocol):
    """An encoder that embeds negatives that were drawn, and not asked for, in a way of its own."""

    def embed_negatives(self, texts: list[str]) -> Float[Tensor, "texts embedding"]:
        """Unit-norm embeddings of what a picture should not be taken for."""
        ...


@runtime_checkable
class KnowsColors(Protocol):
    """An encoder that can say which colours a text asks for: they are put where they belong (see `local_colors`)."""

    def palette(self, text: str) -> Palette | None:
        """None: the text says nothing of colours."""
        ...

    def embed_patterns(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        """As `embed_images`, but gradients of colour do not reach the pixels."""
        ...
