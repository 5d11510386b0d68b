"""The last blocks of a CLIP of open_clip, unfrozen: what it knows of a new kind of pictures can be tuned."""

from __future__ import annotations

import re
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from fasttext2style.guidance.open_clip_encoder import OpenClipEncoder


class OpenClipTuning:
    """An open_clip encoder whose last blocks, norms and projections of both towers can learn.

    Args:
        blocks: how many of the last transformer blocks of each tower.

    Raises:
        ValueError: a model without transformer blocks, or with fewer.
    """

    def __init__(self, encoder: OpenClipEncoder, blocks: int) -> None:
        self.encoder = encoder
        self._model: Any = encoder._model
        self.parameters = self._unfrozen(blocks)
        self.weights_count = sum(parameter.numel() for parameter in self.parameters)

    def embed_images(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        """With gradients to the weights."""
        return self.encoder.embed_images(images)

    def embed_texts(self, texts: list[str]) -> Float[Tensor, "texts embedding"]:
        """As they are, without templates, with gradients to the weights."""
        tokens = self.encoder._tokenizer(texts).to(next(self._model.parameters()).device)
        return F.normalize(self._model.encode_text(tokens).float(), dim=-1)

    def finished(self) -> OpenClipEncoder:
        """The tuned encoder, frozen again; texts that it embedded before are forgotten."""
        self.encoder._texts.clear()
        self._model.requires_grad_(False)
        return self.encoder

    def weights(self) -> dict[str, Tensor]:
        """All of them by open_clip's names: what `--encoder-weights` reads from a file of `torch.save`."""
        return {name: value.cpu() for name, value in self._model.state_dict().items()}

    def _unfrozen(self, blocks: int) -> list[nn.Parameter]:
        """Of each tower, which open_clip names `visual.transformer.resblocks.N` and `transformer.resblocks.N` (or
        `text.transformer...`): the last blocks, and what comes after them."""
        pattern = re.compile(r"(visual\.|text\.|)transformer\.resblocks\.(\d+)\.")
        after = re.compile(r"(visual\.(ln_post|proj)|(text\.)?(ln_final|text_projection))")
        depth: dict[str, int] = {}
        for name, _ in self._model.named_parameters():
            if found := pattern.match(name):
                depth[found[1]] = max(depth.get(found[1], 0), int(found[2]) + 1)
        if len(depth) < 2:
            raise ValueError(
                f"Encoder {self.encoder.name} has no two towers of transformer blocks; ViT models of open_clip have."
            )
        if not 1 <= blocks <= min(depth.values()):
            raise ValueError(f"--blocks lies between 1 and {min(depth.values())} for {self.encoder.name}, got {blocks}")
        learning = []
        for name, parameter in self._model.named_parameters():
            found = pattern.match(name)
            if after.match(name) or (found and int(found[2]) >= depth[found[1]] - blocks):
                learning.append(parameter.requires_grad_(True))
        return learning
