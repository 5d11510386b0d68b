"""What a text names, in images: the interface, and how a name becomes a segmenter.

Images are [views, height, width, 3], sRGB in [0, 1]. Masks are [views, height, width] in [0, 1], 1 where the text fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.guidance.weights import reachable
from fasttext2style.selection.segmenters.segmenter import Segmenter

HUB = "https://huggingface.co"
SHORT_NAMES = {
    "clipseg": "CIDAS/clipseg-rd64-refined",
    "grounded-sam": "IDEA-Research/grounding-dino-tiny+facebook/sam2.1-hiera-small",
    "sam3": "facebook/sam3",
}
DEFAULT_SAM = "facebook/sam2.1-hiera-small"
"""Turns boxes into masks when only a detector is named."""
CLASSES = {
    "clipseg": ("CLIPSegForImageSegmentation", "CLIPSegProcessor"),
    "grounding-dino": ("GroundingDinoForObjectDetection", "GroundingDinoProcessor"),
    "sam2": ("Sam2Model", "Sam2Processor"),
    # Published models of SAM 2 and SAM 3 are saved as trackers of videos, with the model for images inside.
    "sam2_video": ("Sam2Model", "Sam2Processor"),
    "sam3": ("Sam3Model", "Sam3Processor"),
    "sam3_video": ("Sam3Model", "Sam3Processor"),
}
"""model_type in config.json -> model and processor of transformers."""
WAYS_OUT = (
    'Ways out: a folder that you downloaded elsewhere; or "encoder", which needs no download, is rough, and knows '
    "the colours and materials that `ft2s words` lists."
)
Loaded = TypeVar("Loaded")


def load_segmenter(name_or_path: str | Path, device: torch.device | str = "cpu") -> Segmenter:
    """Load a segmenter, frozen and in eval mode.

    | name | what |
    |---|---|
    | "encoder" or "tiny" | the packaged encoder on parts of the picture: rough, see `EncoderSegmenter` |
    | "encoder:ViT-B-32" | the same with any encoder of `load_encoder` |
    | "clipseg", "grounded-sam", "sam3" | the published models, from the hub |
    | "owner/model" or a folder | CLIPSeg, Grounding DINO or SAM 3, whichever its config.json says |
    | "detector+sam" | Grounding DINO with that SAM 2; both are names or folders |

    Raises:
        ValueError: no such model, one of another kind, incomplete, or out of reach; says what to do.
    """
    name = str(name_or_path)
    if name in ("encoder", "tiny") or name.startswith("encoder:"):
        from fasttext2style.selection.segmenters.encoder import LEAST_SIMILARITY, EncoderSegmenter

        encoder_name = name.removeprefix("encoder:") if ":" in name else "tiny"
        encoder = load_encoder(encoder_name, device=device)
        return EncoderSegmenter(encoder, LEAST_SIMILARITY if encoder_name == "tiny" else 0.0)
    name = SHORT_NAMES.get(name, name)
    first, _, second = (name, "", "") if Path(name).is_dir() else name.partition("+")
    kind = _model_type(first)
    if kind in ("sam2", "sam2_video"):
        raise ValueError(
            f"{first} is a SAM 2, which reads no text: put a detector before it, such as "
            f'"IDEA-Research/grounding-dino-tiny+{first}".'
        )
    model, processor = _load(first, kind, device)
    if kind == "clipseg":
        from fasttext2style.selection.segmenters.clipseg import ClipSeg

        return ClipSeg(model, processor, name)
    if kind == "grounding-dino":
        from fasttext2style.selection.segmenters.grounded_sam import GroundedSam

        second = second or DEFAULT_SAM
        sam_kind = _model_type(second)
        if sam_kind not in ("sam2", "sam2_video"):
            raise ValueError(f"{second} is a {sam_kind}; a detector's boxes become masks by a SAM 2")
        return GroundedSam(model, processor, *_load(second, sam_kind, device), f"{first}+{second}")
    from fasttext2style.selection.segmenters.sam3 import Sam3

    return Sam3(model, processor, name)


def _load(name: str, kind: str, device: torch.device | str) -> tuple[Any, Any]:
    """Model and processor."""
    if kind not in CLASSES:
        raise ValueError(f"{name} is a {kind}, which finds nothing by a text here; known are {', '.join(CLASSES)}.")
    transformers = import_module("transformers")
    for class_name in CLASSES[kind]:
        if not hasattr(transformers, class_name):
            raise ValueError(f"{name} needs {class_name}; transformers {transformers.__version__} is too old for it.")
    model_class, processor_class = (getattr(transformers, class_name) for class_name in CLASSES[kind])

    def load_model(name: str, **options: Any) -> Any:
        model, report = model_class.from_pretrained(name, output_loading_info=True, **options)
        # transformers would fill them with random numbers and go on.
        if missing := sorted(report["missing_keys"]):
            raise ValueError(f"its weights lack {', '.join(missing[:3])}{' and others' if len(missing) > 3 else ''}")
        return model

    processor = _fetched(processor_class.from_pretrained, name)
    return _fetched(load_model, name).float().eval().requires_grad_(False).to(device), processor


def _model_type(name: str) -> str:
    """`model_type` of a model's config.json."""
    if Path(name).is_dir():
        path = Path(name) / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be read, so {name} is no model of transformers: {error}") from error
    elif name.count("/") != 1 or name.startswith((".", "/", "~")):
        others = ", ".join(f'"{known}"' for known in ("encoder", *SHORT_NAMES))
        raise ValueError(f"There is no segmenter {name!r}: neither a folder, nor a hub id (owner/model), nor {others}.")
    else:
        from transformers import PretrainedConfig

        config, _ = _fetched(PretrainedConfig.get_config_dict, name)
    return str(config.get("model_type", "model of an unknown type"))


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
