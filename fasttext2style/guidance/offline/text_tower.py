"""all-MiniLM-L6-v2 out of its package: phrases in, unit vectors of 384 numbers out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

WIDTH = 384
FRAMES = ("{}", "a photo of a {}", "{} texture")
"""Averaged: says less about wording. The frames of the measured linear map."""


class TextTower:
    """A frozen BERT with mean pooling, as sentence-transformers runs it. Phrases are kept in memory."""

    def __init__(self, weights: Path, tokenizer: Path, device: torch.device) -> None:
        # Here, for these imports take seconds.
        from safetensors.torch import load_file
        from tokenizers import Tokenizer
        from transformers.models.bert import BertConfig, BertModel

        config = BertConfig(
            hidden_size=WIDTH,
            num_attention_heads=12,
            num_hidden_layers=6,
            intermediate_size=1536,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        # Any: its decorated methods hide their types.
        self._model: Any = cast(Any, BertModel(config, add_pooling_layer=False)).eval().requires_grad_(False)
        # The file also holds a pooler and the numbers of the positions, which mean pooling has no use for.
        state = load_file(weights)
        self._model.load_state_dict({name: state[name] for name in self._model.state_dict()})
        self._model.to(device)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(64)
        self._tokenizer.enable_padding()
        self._device = device
        self._known: dict[str, Tensor] = {}

    def sentences(self, texts: list[str]) -> Float[Tensor, "texts 384"]:
        """Unit embeddings of texts as they are."""
        parts = []
        for start in range(0, len(texts), 64):
            encoded = self._tokenizer.encode_batch(texts[start : start + 64])
            ids, mask = (
                torch.tensor([getattr(one, name) for one in encoded], device=self._device)
                for name in ("ids", "attention_mask")
            )
            with torch.no_grad():
                hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            share = mask[..., None].to(hidden)
            parts.append(functional.normalize((hidden * share).sum(1) / share.sum(1), dim=-1))
        return torch.cat(parts) if parts else torch.zeros(0, WIDTH, device=self._device)

    def phrases(self, phrases: list[str]) -> Float[Tensor, "phrases 384"]:
        """Unit embeddings of what is named, such as "zebra", averaged over `FRAMES`."""
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._known]
        if new:
            framed = self.sentences([frame.format(phrase) for phrase in new for frame in FRAMES])
            means = functional.normalize(framed.unflatten(0, (len(new), len(FRAMES))).mean(1), dim=-1)
            self._known.update(zip(new, means))
        return torch.stack([self._known[phrase] for phrase in phrases]) if phrases else torch.zeros(0, WIDTH)
