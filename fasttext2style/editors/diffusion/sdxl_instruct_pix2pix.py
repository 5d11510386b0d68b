"""InstructPix2Pix on Stable Diffusion XL, such as diffusers/sdxl-instructpix2pix-768."""

from __future__ import annotations

from typing import Any

from fasttext2style.editors.diffusion.networks import native_size
from fasttext2style.editors.diffusion.pipeline_editor import PipelineEditor, channels_first
from fasttext2style.editors.editor import EditRequest


class SdxlInstructPix2PixEditor(PipelineEditor):
    """Always starts from noise alone: strength is left out."""

    capabilities = frozenset({"condition", "negative", "guidance", "image_guidance", "steps", "seed", "batch"})

    def trained_size(self, pipeline: Any) -> int:
        return native_size(pipeline)

    def arguments(self, request: EditRequest) -> dict[str, Any]:
        views, height, width = request.images.shape[:3]
        condition = request.images if request.condition is None else request.condition
        return {
            "prompt": [request.instruction] * views,
            "negative_prompt": [request.negative] * views,
            "image": channels_first(condition).to(self.device),
            "height": height,
            "width": width,
            "guidance_scale": self.config.guidance or request.guidance,
            "image_guidance_scale": request.image_guidance,
        }
