"""An encoder, a segmenter and a text loss of your own, the least that there are: they know nothing but colour.

Use them in a run by import path, with this folder on PYTHONPATH:

    ns-train fasttext2style ... --prompt red --encoder colour_parts:ColourEncoder \\
        --object-text "the ball" --object-segmenter colour_parts:RedChannel \\
        --pipeline.styler.objective.loss nll+colour_parts:away

or give them names in your package's pyproject.toml, and then the names are enough:

    [project.entry-points."fasttext2style.encoders"]
    colours = "colour_parts:ColourEncoder"
    [project.entry-points."fasttext2style.segmenters"]
    red-channel = "colour_parts:RedChannel"
    [project.entry-points."fasttext2style.text_losses"]
    away = "colour_parts:away"
"""

from __future__ import annotations

import torch
from torch.nn import functional

import fasttext2style as ft

COLOURS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}


class ColourEncoder:
    """A picture means its mean colour, a text the first colour that it names (a `ft.TextImageEncoder`)."""

    name, resolution = "colours", 16
    """For reports; and the side in pixels at which it looks at pictures."""

    def __init__(self, device: torch.device | str = "cpu", weights: str | None = None):
        """`weights` is what stands after --encoder-weights; an encoder without any leaves the argument out."""
        self.device, self.weights = device, weights

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """[texts, embedding], unit norm."""
        named = [next((COLOURS[word] for word in text.split() if word in COLOURS), (1.0, 1.0, 1.0)) for text in texts]
        return functional.normalize(torch.tensor(named, device=self.device), dim=-1)

    def embed_images(self, images: torch.Tensor) -> torch.Tensor:
        """[views, height, width, 3] in [0, 1] to [views, embedding], unit norm; gradients go back to the pixels."""
        return functional.normalize(images.mean(dim=(1, 2)), dim=-1)

    def image_features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps [views, channels, height, width] for the content loss "trunk"."""
        return [images.permute(0, 3, 1, 2)]

    def junk_embeddings(self) -> torch.Tensor:
        """What no prompt means, among the negatives always."""
        return self.embed_texts(["nothing"])

    def coverage(self, text: str) -> ft.Coverage:
        """Which words it knows: a prompt without any is refused."""
        words = text.split()
        known = tuple(word for word in words if word in COLOURS)
        return ft.Coverage(known, unknown=(), neutral=tuple(word for word in words if word not in COLOURS))


class RedChannel:
    """Finds what is not green or dark, whatever the text says (a `ft.Segmenter`)."""

    name = "the red channel"

    def __init__(self, device: torch.device | str = "cpu"):
        self.device = device

    def masks(self, images: torch.Tensor, text: str) -> torch.Tensor:
        """[views, height, width, 3] to [views, height, width]: above 0.5 where the text fits."""
        return (images[..., 0] > 0.35).float()


def away(compared: ft.Compared) -> torch.Tensor:
    """The mean cosine with the prompt: minimised, it leads away from what the prompt says (a `ft.TextLoss`)."""
    return (compared.images @ compared.prompt).mean()
