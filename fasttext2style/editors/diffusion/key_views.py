"""Attention to key views: all views of a batch look at the same few, and so come out alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def attention_to_key_views(unet: Any, key_views: int, branches: int) -> Iterator[None]:
    """Within: self-attention of the UNet sees a view's own tokens and those of the batch's first `key_views` views.

    As in DGE (Direct Gaussian Editor), which replaces the own tokens by the key views'; kept here, for a view may show
    what no key view does. Batches are [branches * views]: each branch of the guidance attends within itself. A single
    view that is its own key is edited as without: duplicated tokens do not change a softmax average.
    """
    if key_views == 0:
        yield
        return
    original = dict(unet.attn_processors)
    # attn1 is self-attention, attn2 attends to the text.
    unet.set_attn_processor(
        {
            name: _KeyViewProcessor(processor, key_views, branches) if ".attn1." in name else processor
            for name, processor in original.items()
        }
    )
    try:
        yield
    finally:
        unet.set_attn_processor(original)


class _KeyViewProcessor:
    """The stock processor, given the key views' tokens as if they were a text's."""

    def __init__(self, processor: Any, key_views: int, branches: int):
        self.processor, self.key_views, self.branches = processor, key_views, branches

    def __call__(
        self, attention: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *args, **kwargs
    ) -> Tensor:
        tokens = hidden_states.unflatten(0, (self.branches, -1))  # [branches, views, tokens, channels]
        keys = tokens[:, None, : self.key_views].flatten(2, 3).expand(-1, tokens.shape[1], -1, -1)
        seen = torch.cat([tokens, keys], dim=2).flatten(0, 1)
        return self.processor(attention, hidden_states, seen, *args, **kwargs)
