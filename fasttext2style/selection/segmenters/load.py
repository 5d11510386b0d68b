"""How a name becomes a segmenter."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from fasttext2style.guidance.load import load_encoder
from fasttext2style.plug_ins import PlugIns
from fasttext2style.selection.segmenters.clipseg import ClipSeg
from fasttext2style.selection.segmenters.grounded_sam import GroundedSam
from fasttext2style.selection.segmenters.pretrained import is_a_place, model_type
from fasttext2style.selection.segmenters.sam3 import Sam3
from fasttext2style.selection.segmenters.segmenter import Segmenter

PLUG_INS = PlugIns("segmenter")


class PretrainedSegmenter(Protocol):
    """A segmenter on published models."""

    short_name: str
    published: str
    """The models that the short name stands for, on the hub."""
    model_types: tuple[str, ...]
    """In config.json, by which a model of this kind is known."""

    @classmethod
    def load(cls, name: str, device: torch.device | str) -> Segmenter: ...


SEGMENTERS: tuple[type[PretrainedSegmenter], ...] = (ClipSeg, GroundedSam, Sam3)


def load_segmenter(name_or_path: str | Path, device: torch.device | str = "cpu") -> Segmenter:
    """Load a segmenter, frozen and in eval mode.

    | name | what |
    |---|---|
    | "encoder" or "tiny" | the packaged encoder on parts of the picture: rough, see `EncoderSegmenter` |
    | "encoder:ViT-B-32" | the same with any encoder of `load_encoder` |
    | "clipseg", "grounded-sam", "sam3" | the published models, from the hub |
    | "owner/model" or a folder | CLIPSeg, Grounding DINO or SAM 3, whichever its config.json says |
    | "detector+sam" | Grounding DINO with that SAM 2; both are names or folders |
    | "module:attribute", or an entry point of the group "fasttext2style.segmenters" | one of your own: a class or \
    function that is called with `device` and returns a `Segmenter` |

    Raises:
        ValueError: no such model, one of another kind, incomplete, or out of reach; says what to do.
    """
    name = str(name_or_path)
    if name in ("encoder", "tiny") or name.startswith("encoder:"):
        from fasttext2style.selection.segmenters.encoder import LEAST_SIMILARITY, EncoderSegmenter

        encoder_name = name.removeprefix("encoder:") if ":" in name else "tiny"
        encoder = load_encoder(encoder_name, device=device)
        return EncoderSegmenter(encoder, LEAST_SIMILARITY if encoder_name == "tiny" else 0.0)
    short_names = {segmenter.short_name: segmenter for segmenter in SEGMENTERS}
    if name in short_names:
        return short_names[name].load(short_names[name].published, device)
    if factory := PLUG_INS.find(name):
        return PLUG_INS.make(name, factory, Segmenter, device=device)
    # An empty name would be the working folder.
    first = name if Path(name).is_dir() else name.partition("+")[0]
    if not first or not is_a_place(first):
        more = ", a folder, a hub id (owner/model), detector+sam"
        raise PLUG_INS.unknown(name, ["encoder", *short_names], more)
    kind = model_type(first)
    for segmenter in SEGMENTERS:
        if kind in segmenter.model_types:
            return segmenter.load(name, device)
    if kind in GroundedSam.sam_types:
        raise ValueError(
            f"{first} is a SAM 2, which reads no text: put a detector before it, such as "
            f'"IDEA-Research/grounding-dino-tiny+{first}".'
        )
    known = ", ".join(known for segmenter in SEGMENTERS for known in segmenter.model_types)
    raise ValueError(f"{first} is a {kind}, which finds nothing by a text here; known are {known}.")
