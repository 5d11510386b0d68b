"""How far an edit went towards a text, in the space of an encoder; inputs are unit-norm embeddings.

An encoder that the edit was optimised for grades its own work: report a second one, too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.text_losses import directional

Embeddings = Float[Tensor, "views embedding"]


def similarity(images: Embeddings, text: Float[Tensor, " embedding"]) -> float:
    """Mean cosine between the views and the text ("CLIP score" without its factor of 100 or 2.5)."""
    return float((images @ text).mean())


def direction_similarity(
    before: Embeddings, after: Embeddings, source: Float[Tensor, " embedding"], target: Float[Tensor, " embedding"]
) -> float:
    """Mean cosine between the way a view went and the way from the source text to the target text.

    StyleGAN-NADA (Gal et al. 2021), equation 4; Instruct-NeRF2NeRF's "CLIP text-image direction similarity". 1 when
    all views moved exactly as the texts did; a view that did not change counts 0.

    Raises:
        ValueError: the texts mean the same.
    """
    return 1 - float(directional(after, before, target, source, softening=1e-8))


def direction_consistency(before: Embeddings, after: Embeddings) -> float:
    """Mean cosine between the ways that neighbouring views of a camera path went.

    Instruct-NeRF2NeRF's "CLIP direction consistency": with originals o and edits e, (E(e_i) - E(o_i)) against
    (E(e_i+1) - E(o_i+1)). 1 when the edit means the same in every view.

    Raises:
        ValueError: fewer than two views have no neighbours.
    """
    if len(before) < 2:
        raise ValueError(f"Consistency along a path takes at least two views, got {len(before)}")
    ways = after - before
    return float(F.cosine_similarity(ways[:-1], ways[1:], dim=-1, eps=1e-8).mean())


@torch.no_grad()
def embed(encoder, images: Float[Tensor, "views height width 3"], chunk: int = 16) -> Embeddings:
    """Embed many views, some at a time."""
    return torch.cat([encoder.embed_images(images[start : start + chunk]) for start in range(0, len(images), chunk)])
