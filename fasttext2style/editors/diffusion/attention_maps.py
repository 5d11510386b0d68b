"""Where a UNet looks for the words of an instruction: its cross-attention, read while it runs, output unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

USED_SHARES = (0.5, 0.25)
"""Maps of layers at these shares of the latents' sides are averaged: 32 x 32 and 16 x 16 of Stable Diffusion at 512.
Finer ones are noise, coarser ones blur an object into its surroundings. A network without such layers: all it has."""


class AttentionMaps:
    """Sums the maps of all evaluations of the network that happen inside `reading_attention`."""

    def __init__(self, content: Bool[Tensor, "samples tokens"], first: int = 0) -> None:
        """`content` says which tokens count; samples are rows of the network's batch, `first` the number of theirs."""
        self.content, self.first = content, first
        self._sums: dict[str, Tensor] = {}
        self._evaluations = 0

    def mean(self, height: int, width: int) -> Float[Tensor, "samples height width"]:
        """Mean over content tokens, layers and evaluations; [height, width] are those of the latents.

        Over content tokens and not all: a pixel's attention to all tokens adds up to 1, so that the mean over all
        (InstructRL4Pix, equation 3, read literally) is the same number everywhere, whatever the network does.

        Raises:
            ValueError: no evaluation was seen, or the network has no cross-attention.
        """
        if not self._sums:
            raise ValueError("No cross-attention was seen: this network does not attend to an instruction.")
        maps = [_as_map(total, height, width) for total in self._sums.values()]
        used = [one for one in maps if any(round(height * share) == one.shape[2] for share in USED_SHARES)]
        resized = [F.interpolate(one, (height, width), mode="bilinear") for one in used or maps]
        evaluations = self._evaluations / len(self._sums)
        return torch.stack(resized).mean(0)[:, 0] / evaluations

    def add(self, layer: str, attention: Any, hidden: Tensor, encoder_hidden: Tensor) -> None:
        """One evaluation of one layer: softmax(Q K^T / sqrt(d)), equation 2, mean over heads and content tokens."""
        rows = slice(self.first, self.first + len(self.content))
        queries, keys = attention.to_q(hidden[rows]), attention.to_k(encoder_hidden[rows])
        queries, keys = (
            values.unflatten(-1, (attention.heads, -1)).transpose(1, 2).float() for values in (queries, keys)
        )
        weights = (queries @ keys.transpose(-1, -2) * attention.scale).softmax(dim=-1).mean(dim=1)
        share = self.content.to(weights)
        map_ = (weights * share[:, None]).sum(-1) / share.sum(-1, keepdim=True)
        self._sums[layer] = self._sums[layer] + map_ if layer in self._sums else map_
        self._evaluations += 1


@contextmanager
def reading_attention(unet: Any, maps: AttentionMaps) -> Iterator[None]:
    """Within: `maps` learns of every cross-attention of the UNet; what the UNet computes stays the same to the bit."""
    original = dict(unet.attn_processors)
    # attn1 is self-attention, attn2 attends to the text.
    unet.set_attn_processor(
        {
            name: _Reader(name, processor, maps) if ".attn2." in name else processor
            for name, processor in original.items()
        }
    )
    try:
        yield
    finally:
        unet.set_attn_processor(original)


class _Reader:
    """The stock processor, watched: it computes what it would, and the weights are computed beside it."""

    def __init__(self, name: str, processor: Any, maps: AttentionMaps) -> None:
        self.name, self.processor, self.maps = name, processor, maps

    def __call__(
        self, attention: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *args, **kwargs
    ) -> Tensor:
        if encoder_hidden_states is not None:
            with torch.no_grad():
                self.maps.add(self.name, attention, hidden_states.detach(), encoder_hidden_states.detach())
        return self.processor(attention, hidden_states, encoder_hidden_states, *args, **kwargs)


def _as_map(flat: Float[Tensor, "samples pixels"], height: int, width: int) -> Float[Tensor, "samples 1 h w"]:
    """The pixels of a layer as rows and columns: it halves both sides, some times."""
    rows, columns = height, width
    while rows * columns > flat.shape[1]:
        rows, columns = -(-rows // 2), -(-columns // 2)
    return flat.unflatten(1, (rows, columns))[:, None]
