"""Encoder "panorama": encoder "offline", tuned on panoramas and what is said of them.

What "offline" sees of a picture is mapped to MiniLM's embedding of what is said of it, by kernel ridge regression on
some hundred views: nothing of the packaged networks changes. Its words are places, weather and times of day, and no
materials or things; whether it tells them apart better than "offline" is open (see panorama_encoder.md beside the
weights). A picture is judged by those views that it is near to, so that an edit is drawn to what such a place looks
like and not far beyond: a matrix alone finds the reddest red most like a sunset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from fasttext2style.guidance.encoder import Coverage
from fasttext2style.guidance.offline.encoder import RESOLUTION, OfflineEncoder
from fasttext2style.guidance.offline.sentences import FILLERS, words_of

PACKAGED = {"panorama": "panorama_encoder.safetensors", "panorama-vae": "panorama_vae_encoder.safetensors"}
"""By the encoder's name: tuned on photographs, and on what a VAE leaves of them."""


class Adapter(NamedTuple):
    """What is trained: the way from what is seen to what is said (Nyström's approximation of a Gaussian kernel)."""

    scale: Float[Tensor, " seen"]
    """How much each number that "offline" sees counts in a distance; the kernel is exp(-distance squared)."""
    centres: Float[Tensor, "centres seen"]
    """Views of panoramas, scaled."""
    to_said: Float[Tensor, "384 centres"]
    said: Float[Tensor, " 384"]
    """Mean of MiniLM's embeddings of captions: what all have in common tells none apart."""
    junk: Float[Tensor, "junk 384"]
    """Unit vectors of what no sentence means: noise, shuffled pictures."""

    def images(self, seen: Float[Tensor, "*views seen"]) -> Float[Tensor, "*views 384"]:
        return functional.normalize(self.near(seen) @ self.to_said.mT, dim=-1)

    def near(self, seen: Float[Tensor, "*views seen"]) -> Float[Tensor, "*views centres"]:
        """Likeness to each of the centres: 1 for the same."""
        scaled = seen * self.scale
        squares = scaled.square().sum(-1, keepdim=True) + self.centres.square().sum(-1) - 2 * scaled @ self.centres.mT
        return (-squares.clamp_min(0)).exp()

    def texts(self, embedded: Float[Tensor, "texts 384"]) -> Float[Tensor, "texts 384"]:
        return functional.normalize(embedded - self.said, dim=-1)


class PanoramaEncoder:
    """Implements `TextImageEncoder`; frozen."""

    def __init__(
        self,
        weights: str | Path | None = None,
        device: torch.device | str = "cpu",
        resolution: int = RESOLUTION,
        name: str = "panorama",
    ) -> None:
        """Loads the packaged adapter of that name, or one of `ft2s envmap finetune`.

        Raises:
            ValueError: the packages of "offline" are not installed; a resolution out of range; another file.
        """
        self._offline = OfflineEncoder(device=device, resolution=resolution)
        self.resolution, self.device = self._offline.resolution, self._offline.device
        self.name = name if weights is None else f"{name} ({Path(weights).name})"
        self._adapter, self.learnt = load_adapter(Path(weights) if weights else None, name)
        self._adapter = Adapter(*(tensor.to(self.device) for tensor in self._adapter))
        self._texts: dict[str, Tensor] = {}

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> Float[Tensor, "texts embedding"]:
        """Unit embeddings of sentences as a whole; they are kept in memory."""
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if new:
            embedded = self._adapter.texts(self._offline.text_tower.sentences(new).to(self.device))
            self._texts.update(zip(new, embedded))
        return torch.stack([self._texts[text] for text in texts])

    def embed_images(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views embedding"]:
        """Unit embeddings, differentiable to the pixels."""
        return self._adapter.images(self._offline.embed_images(images))

    def image_features(self, images: Float[Tensor, "views height width 3"]) -> list[Float[Tensor, "views c h w"]]:
        """Those of "offline"."""
        return self._offline.image_features(images)

    def junk_embeddings(self) -> Float[Tensor, "junk embedding"]:
        return self._adapter.junk

    def coverage(self, text: str) -> Coverage:
        """Known: words that were learnt, in the singular or the plural; words that say nothing are neutral. What is
        unknown is guessed by MiniLM, which often is right: "woodland" is near "forest"."""
        words, learnt = tuple(dict.fromkeys(words_of(text))), self._learnt_words
        plain = {word for word in words if word in (FILLERS | _EMPTY) - learnt}
        known = {word for word in words if not {word, f"{word}s", word.removesuffix("s")}.isdisjoint(learnt)} - plain
        return Coverage(
            known=tuple(word for word in words if word in known),
            unknown=tuple(word for word in words if word not in known and word not in plain),
            neutral=tuple(word for word in words if word in plain),
        )

    @cached_property
    def _learnt_words(self) -> frozenset[str]:
        return words_learnt(self.learnt)


def panorama_vae_encoder(weights: str | Path | None = None, device: torch.device | str = "cpu") -> PanoramaEncoder:
    """The one that was tuned on reconstructions."""
    return PanoramaEncoder(weights, device, name="panorama-vae")


def words_learnt(phrases: Iterable[str]) -> frozenset[str]:
    """All words in these phrases that say something."""
    return frozenset(word for phrase in phrases for word in words_of(phrase)) - _EMPTY


_EMPTY = frozenset(("a", "an", "the", "at", "by", "in", "of", "on", "with", "and"))


def packed_adapter(adapter: Adapter, learnt: list[str], about: dict[str, object]) -> bytes:
    """A file for `load_adapter`, in 16 bits, with the phrases that were learnt and what is known of the training."""
    tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in adapter._asdict().items()}
    return save(tensors, {"learnt": json.dumps(learnt), "about": json.dumps(about)})


def load_adapter(path: Path | None, name: str = "panorama") -> tuple[Adapter, tuple[str, ...]]:
    """An adapter and the phrases that it learnt; of no path the packaged one.

    Raises:
        ValueError: no such file, or damaged, or another model's.
    """
    if path is None:
        with as_file(files("fasttext2style.guidance") / PACKAGED[name]) as packaged:
            return load_adapter(packaged, name)
    if not path.is_file():
        raise ValueError(f"There is no tuned encoder at {path}; ft2s envmap finetune makes one.")
    try:
        with safe_open(path, framework="pt") as stored:
            adapter = Adapter(**{field: stored.get_tensor(field).float() for field in Adapter._fields})
            learnt = json.loads((stored.metadata() or {})["learnt"])
        if not isinstance(learnt, list) or not all(isinstance(one, str) and re.search("[a-z]", one) for one in learnt):
            raise ValueError("its phrases are no list of texts")
        centres, seen = adapter.centres.shape
        if (adapter.said.shape, adapter.to_said.shape, adapter.scale.shape) != ((384,), (384, centres), (seen,)):
            raise ValueError("its matrices do not belong together")
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is no tuned encoder of panoramas, or damaged ({type(error).__name__}: {error})"
        ) from error
    return adapter, tuple(learnt)
