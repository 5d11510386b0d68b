"""Grounding DINO finds boxes by a text, SAM 2 draws what is in them.

arXiv 2303.05499 and 2408.00714; put together as in Grounded SAM, 2401.14159.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from fasttext2style.selection.segmenters.pretrained import load_pretrained, model_type
from fasttext2style.selection.segmenters.segmenter import pictures_of

DEFAULT_SAM = "facebook/sam2.1-hiera-small"
"""Turns boxes into masks when only a detector is named."""
BOX_SCORE = 0.35
"""A box counts above this; the number of Grounding DINO's own demonstration."""


class GroundedSam:
    """Sharp masks of all things of a view that the text names (a `Segmenter`)."""

    short_name, published = "grounded-sam", f"IDEA-Research/grounding-dino-tiny+{DEFAULT_SAM}"
    model_types: tuple[str, ...] = ("grounding-dino",)
    # Published models of SAM 2 are saved as trackers of videos, with the model for images inside.
    sam_types = ("sam2", "sam2_video")

    @classmethod
    def load(cls, name: str, device: torch.device | str) -> GroundedSam:
        """`name` is a detector, or detector+sam.

        Raises:
            ValueError: the second is no SAM 2.
        """
        detector, _, sam = (name, "", "") if Path(name).is_dir() else name.partition("+")
        sam = sam or DEFAULT_SAM
        if (kind := model_type(sam)) not in cls.sam_types:
            raise ValueError(f"{sam} is a {kind}; a detector's boxes become masks by a SAM 2")
        return cls(
            *load_pretrained(detector, "GroundingDinoForObjectDetection", "GroundingDinoProcessor", device),
            *load_pretrained(sam, "Sam2Model", "Sam2Processor", device),
            f"{detector}+{sam}",
        )

    def __init__(self, detector: Any, detector_processor: Any, sam: Any, sam_processor: Any, name: str) -> None:
        """GroundingDinoForObjectDetection and Sam2Model with their processors."""
        self.name = name
        self._detector, self._detector_processor = detector, detector_processor
        self._sam, self._sam_processor = sam, sam_processor

    @torch.no_grad()
    def masks(self, images: Float[Tensor, "views height width 3"], text: str) -> Float[Tensor, "views height width"]:
        masks = torch.zeros(images.shape[:3])
        for view, picture in enumerate(pictures_of(images)):
            boxes = self.boxes(picture, text)
            if len(boxes):
                masks[view] = self._inside(picture, boxes)
        return masks.to(images)

    def boxes(self, picture: Image.Image, text: str) -> Float[Tensor, "boxes 4"]:
        """x0, y0, x1, y1 in pixels of everything that the text names."""
        # Grounding DINO was trained on lower-case phrases that end with a full stop.
        phrase = text.lower().strip().rstrip(".") + "."
        inputs = self._detector_processor(images=picture, text=phrase, return_tensors="pt").to(self._detector.device)
        found = self._detector_processor.post_process_grounded_object_detection(
            self._detector(**inputs),
            inputs["input_ids"],
            threshold=BOX_SCORE,
            target_sizes=[(picture.height, picture.width)],
        )
        return found[0]["boxes"].cpu()

    def _inside(self, picture: Image.Image, boxes: Float[Tensor, "boxes 4"]) -> Float[Tensor, "height width"]:
        inputs = self._sam_processor(images=picture, input_boxes=[boxes.tolist()], return_tensors="pt")
        outputs = self._sam(**inputs.to(self._sam.device), multimask_output=False)
        logits = self._sam_processor.post_process_masks(
            outputs.pred_masks.cpu(), inputs["original_sizes"].cpu(), binarize=False
        )[0]
        return logits[:, 0].sigmoid().amax(dim=0)
