"""FLUX.1 Kontext: black-forest-labs/FLUX.1-Kontext-dev."""

from __future__ import annotations

from typing import Any

from fasttext2style.editors.diffusion.pipeline_editor import PipelineEditor, channels_first
from fasttext2style.editors.editor import EditRequest


class FluxKontextEditor(PipelineEditor):
    """Starts from noise alone and knows no image guidance. Its guidance is distilled, about 2.5."""

    capabilities = frozenset({"condition", "negative", "steps", "seed", "batch"})
    half = "bf16"

    def trained_size(self, pipeline: Any) -> int:
        return int(pipeline.default_sample_size * pipeline.vae_scale_factor)

    def arguments(self, request: EditRequest) -> dict[str, Any]:
        views, height, width = request.images.shape[:3]
        condition = request.images if request.condition is None else request.condition
        arguments: dict[str, Any] = {
            "prompt": [request.instruction] * views,
            "image": channels_first(condition).to(self.device),
            "height": height,
            "width": width,
            "guidance_scale": 2.5 if self.config.guidance is None else self.config.guidance,
            # Without these two the size given is taken for a format, and images for one of 17 sizes of a megapixel.
            "max_area": height * width,
            "_auto_resize": False,
        }
        if request.negative:
            # True guidance, beside the distilled one: twice the time.
            arguments |= {"negative_prompt": [request.negative] * views, "true_cfg_scale": 2.0}
        return arguments
