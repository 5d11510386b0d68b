"""How far images are from what a text says; pure functions of embeddings, averaged over views."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def absolute_cosine(
    image_embeddings: Float[Tensor, "views embedding"], text_embedding: Float[Tensor, " embedding"]
) -> Float[Tensor, ""]:
    """Minus the cosine between images and the prompt: FastText2ObjectStyle, Algorithm 1.

    Line 7 of the algorithm embeds the unmasked render after line 6 masked it; the caller embeds the masked one. The
    paper found it too flat to style with: its Table 1 has 0.31 for the right word and 0.26 for a wrong one. Equals -1
    for an image that says exactly what the text says.
    """
    return -F.cosine_similarity(image_embeddings, text_embedding[None], dim=-1).mean()


def nll_with_negatives(
    image_embeddings: Float[Tensor, "views embedding"],
    text_embeddings: Float[Tensor, "texts embedding"],
    temperature: float,
) -> Float[Tensor, ""]:
    """How unlikely the prompt is beside its negatives, by a softmax over cosines: FastText2ObjectStyle, Algorithm 2.

    The prompt is the first of the texts, any number of negatives follow; the paper has nine (3.1.2) or ten (the sum of
    line 10). Line 7 embeds the unmasked render; the caller embeds the masked one. log(n) for images that are equally
    near to n texts. The temperature is not given in the paper's text: at 1 the words of its Table 1 differ by less than
    0.13, at 0.01 only the nearest negative counts, at 0.07 about seven do.

    Raises:
        ValueError: no negative (a softmax over one text says nothing), or a temperature that is not positive.
    """
    if len(text_embeddings) < 2:
        raise ValueError("The loss 'nll' needs at least one negative text beside the prompt: raise num_negatives.")
    if temperature <= 0:
        raise ValueError(f"The temperature must be positive, got {temperature}. Usual values are 0.03 to 0.1.")
    similarities = F.normalize(image_embeddings, dim=-1) @ F.normalize(text_embeddings, dim=-1).T
    return -F.log_softmax(similarities / temperature, dim=-1)[:, 0].mean()


def directional(
    image_embeddings: Float[Tensor, "views embedding"],
    original_embeddings: Float[Tensor, "views embedding"],
    text_embedding: Float[Tensor, " embedding"],
    source_text_embedding: Float[Tensor, " embedding"],
    softening: float = 0.05,
) -> Float[Tensor, ""]:
    """One minus the cosine between the way the images went and the way from the source text to the prompt.

    StyleGAN-NADA (Gal et al. 2021), equation 4. Not in FastText2ObjectStyle; CLIPGaussian and Instruct-GS2GS's metrics
    use it. Equals 0 when the images moved exactly as the texts did and 2 when they moved the other way.

    Styling starts where images and originals are the same and the cosine has no value: the length of the images' way
    is taken as sqrt(length² + softening²), so the loss starts at 1 and its gradient at no more than 1/softening. Ways
    of styled objects are 0.3 to 1 long, where the default changes the loss by less than 0.015.

    Raises:
        ValueError: the texts are the same, for then they show no direction.
    """
    text_way = text_embedding - source_text_embedding
    if text_way.norm() < 1e-4:
        raise ValueError("The source text and the prompt mean the same to the encoder; change source_text.")
    image_way = image_embeddings - original_embeddings
    # The square goes under the root, not the norm: the gradient of a norm is undefined at 0.
    length = torch.sqrt(image_way.square().sum(-1) + softening**2)
    return (1 - image_way @ F.normalize(text_way, dim=-1) / length).mean()
