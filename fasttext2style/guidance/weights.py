"""Weights that must come from somewhere: a file, a cache, or one short look at the network."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.constants import constant
from fasttext2style.trust.torch_files import load_torch_file


def read_weights(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a file by their names; `what` they should be, for errors.

    Raises:
        ValueError: it cannot be read, or holds something else.
    """
    try:
        state = load_torch_file(path)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as {what} ({error}).") from error
    if not isinstance(state, dict) or not all(isinstance(it, Tensor) for it in state.values()):
        raise ValueError(f"{path} holds no {what}: expected tensors by their names.")
    return state


def cached_weights(url: str) -> Path | None:
    """Where torch keeps the file of `url`, if it was downloaded before."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    return path if path.is_file() else None


def fill(network: torch.nn.Module, state: dict[str, Tensor], prefix: str, what: str) -> None:
    """Fill `network` with the entries of `state` under `prefix`, in float32.

    Raises:
        ValueError: one is missing or has another shape; says that they are not those of `what`.
    """
    wanted = network.state_dict()
    found = {key: state[prefix + key].float() for key in wanted if prefix + key in state}
    wrong = [key for key in wanted if key not in found or found[key].shape != wanted[key].shape]
    if wrong:
        raise ValueError(f"The weights are not those of {what}: {prefix}{wrong[0]} is missing or has another shape.")
    network.load_state_dict(found)


def imagenet_input(images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views 3 height width"]:
    """As networks of torchvision want it: channels first, less ImageNet's mean, over its standard deviation."""
    mean, std = constant((0.485, 0.456, 0.406), images), constant((0.229, 0.224, 0.225), images)
    return ((images - mean) / std).permute(0, 3, 1, 2)


CLIP = "ViT-B-32"
"""The CLIP that is meant where none is named."""

CLIP_REPOSITORIES = {
    "laion2b_s34b_b79k": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "datacomp_xl_s13b_b90k": "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K",
}
"""Where the hub has its weights by tag, the default's first; open_clip, whose import takes five seconds, says the same
(tested)."""


def clip_is_here() -> bool:
    """Whether the default CLIP's weights lie in the hub's cache; asks no network."""
    from huggingface_hub import try_to_load_from_cache

    repository, *_ = CLIP_REPOSITORIES.values()
    names = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)


def reachable(url: str, seconds: float = 2.0) -> bool:
    """Whether `url` can be had: a server (through the proxy, if there is one) says yes within `seconds`.

    Asked before a library downloads: without a network, their retries take up to 45 seconds and end in a stack trace.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
        except (OSError, ValueError):  # no route, no such host, a refusal (HTTPError), or no URL at all
            return
        else:
            answered.set()

    # In a thread, for looking up a name knows no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()
