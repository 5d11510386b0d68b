"""What was trained: named things with what pictures of them look like, and how a phrase becomes one of them.

A phrase's look is predicted from its MiniLM embedding by kernel ridge regression over all named things: near a
known name it is that thing's own look, farther away what its neighbours have in common. Solved anew at each start
(0.1 s): most rows of pictures are those of the packaged network's classifier, and need not be shipped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

PACKAGED_WEIGHTS = "offline_encoder.safetensors"


class Looks(NamedTuple):
    """How phrases should look, by each of the three eyes; a vector's length says how much that eye has to say."""

    things: Float[Tensor, "phrases 1280"]
    """Directions of centred pooled features."""
    textures: Float[Tensor, "phrases texture"]
    """Directions of the trained projection of statistics of two depths; short where no material is near."""
    palettes: Float[Tensor, "phrases colours"]
    """Roots of shares of colours."""


@dataclass(frozen=True)
class Knowledge:
    """The trained part, and the names it is about."""

    names: tuple[str, ...]
    """Named things, ImageNet's 1,000 classes first, in their order."""
    embeddings: Float[Tensor, "names 384"]
    """Of the names, by MiniLM."""
    kinds: Float[Tensor, " names"]
    """What a name means: below 1,000 a class, from there on a row of `rows` and `textures`; -1: only its colours."""
    rows: Float[Tensor, "kinds 1280"]
    """Trained directions of materials and patterns, in the space of the classifier's rows."""
    textures: Float[Tensor, "kinds texture"]
    palettes: Float[Tensor, "names colours"]
    """Zeros where nothing was said about a thing's colours."""
    projection: Float[Tensor, "texture 304"]
    mean: Float[Tensor, " 304"]
    deviation: Float[Tensor, " 304"]
    junk: Float[Tensor, "junk embedding"]
    visible: Float[Tensor, " 385"]
    """Weights and bias of a logistic regression: whether a phrase names something that can be seen."""
    calibration: Float[Tensor, " 3"]
    """Weights of the nearest name's cosine and of the logit of `visible`, and a bias: the logit of the confidence."""
    bank: frozenset[str]
    """Words of the word bank that are known."""
    sharpness: float
    """Of the kernel exp(sharpness * (cosine - 1))."""
    ridge: float

    def kernel(
        self, phrases: Float[Tensor, "phrases 384"], names: Float[Tensor, "names 384"]
    ) -> Float[Tensor, "phrases names"]:
        return kernel(phrases, names, self.sharpness)


def kernel(
    first: Float[Tensor, "first 384"], second: Float[Tensor, "second 384"], sharpness: float
) -> Float[Tensor, "first second"]:
    """Likeness of unit embeddings: 1 for the same, falling off at every scale that `sharpness` leaves apart."""
    return (sharpness * (first @ second.mT - 1)).exp()


def fitted(
    embeddings: Float[Tensor, "names 384"], targets: Float[Tensor, "names target"], sharpness: float, ridge: float
) -> Float[Tensor, "names target"]:
    """Dual coefficients of kernel ridge regression; a phrase's target is kernel(phrase, names) @ these.

    In float64: names such as "coffee mug" and "cup" are near to singular together.
    """
    gram = kernel(embeddings.double(), embeddings.double(), sharpness)
    gram += ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.cholesky_solve(targets.double(), torch.linalg.cholesky(gram)).to(targets)


def centred_rows(weights: Float[Tensor, "classes 1280"]) -> Float[Tensor, "classes 1280"]:
    """Rows of a classifier as directions in `centred` features: less their mean, unit norm."""
    return functional.normalize(weights - weights.mean(0), dim=-1)


def centred(pooled: Float[Tensor, "views 1280"]) -> Float[Tensor, "views 1280"]:
    """Pooled features less their mean over channels, which says only how much there is of anything; unit norm."""
    return functional.normalize(pooled - pooled.mean(-1, keepdim=True), dim=-1)


_TENSORS = ("embeddings", "kinds", "rows", "textures", "palettes", "projection", "mean", "deviation", "junk")
_NUMBERS = ("visible", "calibration")


def load_knowledge(path: Path | None = None) -> Knowledge:
    """The packaged one, or that of another run of `examples/train_offline_encoder`.

    Raises:
        ValueError: the file is not there, damaged, or another model's.
    """
    if path is None:
        with as_file(files("fasttext2style.guidance") / PACKAGED_WEIGHTS) as packaged:
            return load_knowledge(packaged)
    if not path.is_file():
        raise ValueError(f"No trained part of encoder offline at {path}; examples/train_offline_encoder makes one.")
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118 (no mapping)
            about = json.loads((stored.metadata() or {})["knowledge"])
        return Knowledge(
            names=tuple(about["names"]),
            bank=frozenset(about["bank"]),
            sharpness=float(about["sharpness"]),
            ridge=float(about["ridge"]),
            **{name: tensors[name] for name in (*_TENSORS, *_NUMBERS)},
        )
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is no trained part of encoder offline, or damaged ({type(error).__name__}: {error}); "
            "examples/train_offline_encoder makes one."
        ) from error
