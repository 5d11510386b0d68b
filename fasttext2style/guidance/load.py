"""How a name becomes an encoder, and whether it can."""

from __future__ import annotations

import torch

from fasttext2style.guidance.encoder import TextImageEncoder


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


def encoder_is_here(name: str, weights: str | None = None) -> bool:
    """Whether an encoder can be loaded from this machine; else its weights would be downloaded first.

    Raises:
        ValueError: as `load_encoder`, but for weights that do not fit.
    """
    if name == "tiny":
        return True
    from fasttext2style.guidance.open_clip_encoder import open_clip_encoder_is_here

    return open_clip_encoder_is_here(name, weights)
