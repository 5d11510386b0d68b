"""From one sentence to the texts that a loss compares images with: the prompt, its negatives, and constant junk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.encoder import HasNegatives, TextImageEncoder
from fasttext2style.guidance.negation import negated_words, negates, without_negated

TEMPLATES = (
    "{}.",
    "a photo of {}.",
    "a close-up photo of {}.",
    "a picture of {}.",
    "a rendering of {}.",
    "{}, a 3D model.",
    "{} on a plain background.",
)
"""Frames around every text for encoders of open vocabulary: their average says less about wording."""

JUNK_TEXTS = ("random noise", "blurry colorful artifacts", "a glitched, corrupted image")
"""What optimised pixels drift to when nothing holds them: always among the negatives."""

TOO_SIMILAR = 0.9
"""Cosine between a drawn negative and the prompt above which the negative would pull against the prompt itself."""

LOOKS = (
    "gold", "silver", "rust", "wood", "ice", "marble", "brick", "moss", "zebra stripes", "leopard print", "polka dots",
    "strawberries", "lava", "red", "dark blue",
)  # fmt: skip
"""Examples for who asked for what an encoder does not know."""


@dataclass(frozen=True)
class PromptTexts:
    """The texts of one run, embedded."""

    prompt: str
    negatives: tuple[str, ...]
    embeddings: Float[Tensor, "texts embedding"]
    """The prompt first, then the negatives, then the encoder's junk; unit norm."""
    warning: str
    """What the user should know about the prompt, or ""."""


def embed_prompt(
    encoder: TextImageEncoder, prompt: str, negatives: tuple[str, ...] = (), num_negatives: int = 9, seed: int = 0
) -> PromptTexts:
    """Embed `prompt` and its negatives: those given, else `num_negatives` words drawn by `seed`.

    FastText2ObjectStyle 3.1.2 draws them at random from a bank of 10,000 words, unless the user names some. It counts
    ten texts with the prompt there, so nine negatives; Algorithm 2 sums ten besides it.

    Raises:
        ValueError: empty prompt, a prompt of which the encoder knows no word, or a negative equal to the prompt.
    """
    warning = check_prompt(encoder, prompt, negatives)
    target = encoder.embed_texts([prompt])
    embed_negatives = encoder.embed_texts
    if not negatives:
        if isinstance(encoder, HasNegatives):
            embed_negatives = encoder.embed_negatives
        negatives = _draw_negatives(encoder, _words(prompt), target[0], num_negatives, seed)
    parts = [target, encoder.junk_embeddings()]
    if negatives:
        parts.insert(1, embed_negatives(list(negatives)))
    return PromptTexts(prompt, tuple(negatives), torch.cat(parts).detach(), warning)


def check_prompt(encoder: TextImageEncoder, prompt: str, negatives: tuple[str, ...] = ()) -> str:
    """What the user should know about a prompt, or "": it is known before there is a scene.

    Raises:
        ValueError: empty prompt, a prompt of which the encoder knows no word, or a negative equal to the prompt.
    """
    words = _words(prompt)
    if not words:
        wrong = "has no letters" if prompt.strip() else "is empty"
        raise ValueError(f"The prompt {prompt!r} {wrong}. Say how the object should look, such as 'made of gold'.")
    coverage, unwanted = encoder.coverage(prompt), negated_words(prompt)
    wanted = encoder.coverage(without_negated(prompt)).known if unwanted else coverage.known
    if unwanted and not wanted:
        raise ValueError(
            f"The prompt {prompt!r} only says how the object should not look. Say how it should; what it should not "
            "look like can be named in the setting negatives."
        )
    if not coverage.known:
        raise ValueError(
            f"Encoder {encoder.name} knows no word of the prompt {prompt!r} that says how something looks. It knows, "
            f"for example: {', '.join(_looks_known(encoder))}. A real CLIP knows every word: --encoder ViT-B-32."
        )
    if clash := [negative for negative in negatives if _words(negative) == words]:
        raise ValueError(
            f"The negative text {clash[0]!r} is the prompt itself. Name what the object should not look like."
        )
    warnings = []
    if unwanted:
        counted = "counts as if it were wanted" if set(coverage.known) - set(wanted) else "is left out"
        warnings.append(
            f"Encoder {encoder.name} knows no \"not\": '{' '.join(unwanted)}' {counted}. What the object "
            "should not look like can be named in the setting negatives."
        )
    if coverage.unknown:
        quoted = ", ".join(f"'{word}'" for word in coverage.unknown)
        warnings.append(
            f"Encoder {encoder.name} does not know {quoted} and can only guess; '{' '.join(coverage.known)}' counts."
        )
    return " ".join(warnings)


@lru_cache(maxsize=1)
def word_bank() -> tuple[str, ...]:
    """10,000 English words, the most frequent first; examples/make_word_bank.py made them."""
    return tuple((files("fasttext2style.guidance") / "words.txt").read_text(encoding="utf-8").split())


def _looks_known(encoder: TextImageEncoder) -> list[str]:
    """Some looks that an encoder knows; of the frequent words that it knows most name none."""
    known = [look for look in LOOKS if not encoder.coverage(look).unknown and encoder.coverage(look).known]
    return known or list(known_words_of_the_bank(encoder)[:20])


def known_words_of_the_bank(encoder: TextImageEncoder) -> tuple[str, ...]:
    """Words of the bank that the encoder knows, the most frequent first."""
    # Asked for all at once: one by one they take longer than a step. Behind a "not" nothing would be known.
    return encoder.coverage(" ".join(word for word in word_bank() if not negates(word))).known


def _draw_negatives(
    encoder: TextImageEncoder, prompt_words: list[str], target: Float[Tensor, " embedding"], count: int, seed: int
) -> tuple[str, ...]:
    """Words of the bank that the encoder knows, unlike the prompt in spelling and in meaning."""
    # Short words such as "a" and "of" are part of half the bank.
    long_words = [word for word in prompt_words if len(word) >= 3]
    candidates = [
        word
        for word in known_words_of_the_bank(encoder)
        if not any(word in other or other in word for other in long_words)
    ]
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed)).tolist()
    drawn: list[str] = []
    while order and len(drawn) < count:
        missing = count - len(drawn)
        chunk, order = [candidates[index] for index in order[:missing]], order[missing:]
        cosines = (encoder.embed_texts(chunk) @ target).tolist()
        drawn += [word for word, cosine in zip(chunk, cosines) if cosine <= TOO_SIMILAR]
    return tuple(drawn)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
