"""Qwen-Image-Edit and its Plus: Qwen/Qwen-Image-Edit, Qwen/Qwen-Image-Edit-2509."""

from __future__ import annotations

from typing import Any

from fasttext2style.editors.diffusion.pipeline_editor import PipelineEditor
from fasttext2style.editors.editor import EditRequest


class QwenImageEditor(PipelineEditor):
    """Starts from noise alone and knows no image guidance; looks at one image at a time, resized to a megapixel."""

    capabilities = frozenset({"condition", "negative", "steps", "seed"})
    half = "bf16"
    one_by_one = True

    def trained_size(self, pipeline: Any) -> int:
        return 1024

    def arguments(self, request: EditRequest) -> dict[str, Any]:
        from PIL import Image

        height, width = request.images.shape[1:3]
        condition = request.images if request.condition is None else request.condition
        pixels = (condition[0].clamp(0, 1) * 255).round().byte().cpu().numpy()
        return {
            "prompt": request.instruction,
            # A space, for without a negative prompt there is no guidance at all.
            "negative_prompt": request.negative or " ",
            "image": Image.fromarray(pixels),
            "height": height,
            "width": width,
            "true_cfg_scale": 4.0 if self.config.guidance is None else self.config.guidance,
        }
