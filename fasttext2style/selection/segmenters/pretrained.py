"""Models of transformers, from a folder, the hub's cache or the hub; whatever goes wrong, in words."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import torch

from fasttext2style.guidance.weights import reachable
from fasttext2style.trust.documents import read_document

HUB = "https://huggingface.co"
WAYS_OUT = (
    'Ways out: a folder that you downloaded elsewhere; or "encoder", which needs no download, is rough, and knows '
    "the colours and materials that `ft2s words` lists."
)
Loaded = TypeVar("Loaded")


def is_a_place(name: str) -> bool:
    """Whether a model could lie there: a folder, or a hub id (owner/model)."""
    return Path(name).is_dir() or (name.count("/") == 1 and not name.startswith((".", "/", "~")))


def model_type(name: str) -> str:
    """`model_type` of a model's config.json.

    Raises:
        ValueError: it has none, or is out of reach.
    """
    if Path(name).is_dir():
        path = Path(name) / "config.json"
        try:
            config = read_document(path)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read, so {name} is no model of transformers: {error}") from error
    else:
        from transformers import PretrainedConfig

        config, _ = _fetched(PretrainedConfig.get_config_dict, name)
    return str(config.get("model_type", "model of an unknown type"))


def load_pretrained(
    name: str, model_class_name: str, processor_class_name: str, device: torch.device | str
) -> tuple[Any, Any]:
    """Model and processor by their classes' names in transformers; the model frozen, in float32 and in eval mode.

    Raises:
        ValueError: incomplete, out of reach, or transformers is too old for it.
    """
    transformers = import_module("transformers")
    for class_name in (model_class_name, processor_class_name):
        if not hasattr(transformers, class_name):
            raise ValueError(f"{name} needs {class_name}; transformers {transformers.__version__} is too old for it.")
    model_class, processor_class = getattr(transformers, model_class_name), getattr(transformers, processor_class_name)

    def load_model(name: str, **options: Any) -> Any:
        model, report = model_class.from_pretrained(name, output_loading_info=True, **options)
        # transformers would fill them with random numbers and go on.
        if missing := sorted(report["missing_keys"]):
            raise ValueError(f"its weights lack {', '.join(missing[:3])}{' and others' if len(missing) > 3 else ''}")
        return model

    processor = _fetched(processor_class.from_pretrained, name)
    return _fetched(load_model, name).float().eval().requires_grad_(False).to(device), processor


def _fetched(load: Callable[..., Loaded], name: str) -> Loaded:
    """What `load` gives from a folder or the hub's cache, else from the hub.

    Raises:
        ValueError: incomplete, refused by the hub, or not here and the hub out of reach.
    """
    try:
        # Whatever is broken, the libraries below raise (OSError, KeyError, their own): the user gets words.
        return load(name, local_files_only=True)
    except Exception as error:
        if Path(name).is_dir():
            raise ValueError(f"{name} could not be loaded: {_in_short(error)}") from error
    if not reachable(HUB):
        raise ValueError(f"{name} is not on this machine, and {HUB} cannot be reached. {WAYS_OUT}")
    try:
        return load(name)
    except Exception as error:
        raise ValueError(f"{name} could not be loaded from {HUB}: {_in_short(error)}. {WAYS_OUT}") from error


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
