"""SAM 3: all things of a picture that a short text names (Meta 2025, "Segment Anything with Concepts")."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.selection.segmenters.pretrained import load_pretrained
from fasttext2style.selection.segmenters.segmenter import pictures_of

SCORE = 0.5
"""A thing counts above this, as in the model's own examples."""


class Sam3:
    """Sharp masks, 0 or 1, of all things of a view that the text names (a `Segmenter`)."""

    short_name, published = "sam3", "facebook/sam3"
    # Published models are saved as trackers of videos, with the model for images inside.
    model_types: tuple[str, ...] = ("sam3", "sam3_video")

    @classmethod
    def load(cls, name: str, device: torch.device | str) -> Sam3:
        return cls(*load_pretrained(name, "Sam3Model", "Sam3Processor", device), name)

    def __init__(self, model: Any, processor: Any, name: str) -> None:
        """`model` is a Sam3Model with its Sam3Processor."""
        self.name, self._model, self._processor = name, model, processor

    @torch.no_grad()
    def masks(self, images: Float[Tensor, "views height width 3"], text: str) -> Float[Tensor, "views height width"]:
        masks = torch.zeros(images.shape[:3])
        for view, picture in enumerate(pictures_of(images)):
            inputs = self._processor(images=picture, text=text, return_tensors="pt").to(self._model.device)
            (found,) = self._processor.post_process_instance_segmentation(
                self._model(**inputs), threshold=SCORE, target_sizes=[(picture.height, picture.width)]
            )
            if len(found["masks"]):
                masks[view] = (found["masks"] > 0).any(dim=0).float().cpu()
        return masks.to(images)
