"""CLIPSeg: a decoder on CLIP that draws where a text fits (Lueddecke and Ecker 2022, arXiv 2112.10003)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fasttext2style.selection.segmenters.pretrained import load_pretrained
from fasttext2style.selection.segmenters.segmenter import pictures_of


class ClipSeg:
    """Soft maps, coarse at borders (22 x 22 patches in the published models), for any words (a `Segmenter`)."""

    short_name, published = "clipseg", "CIDAS/clipseg-rd64-refined"
    model_types: tuple[str, ...] = ("clipseg",)

    @classmethod
    def load(cls, name: str, device: torch.device | str) -> ClipSeg:
        return cls(*load_pretrained(name, "CLIPSegForImageSegmentation", "CLIPSegProcessor", device), name)

    def __init__(self, model: Any, processor: Any, name: str) -> None:
        """`model` is a CLIPSegForImageSegmentation with its CLIPSegProcessor."""
        self.name, self._model, self._processor = name, model, processor

    @torch.no_grad()
    def masks(self, images: Float[Tensor, "views height width 3"], text: str) -> Float[Tensor, "views height width"]:
        maps = []
        for picture in pictures_of(images):
            inputs = self._processor(text=[text], images=[picture], return_tensors="pt").to(self._model.device)
            logits = self._model(**inputs).logits
            # Some versions of transformers leave the batch axis out for one picture.
            logits = logits.reshape(1, 1, *logits.shape[-2:])
            maps.append(functional.interpolate(logits, size=images.shape[1:3], mode="bilinear")[0, 0].sigmoid())
        return torch.stack(maps).to(images)
