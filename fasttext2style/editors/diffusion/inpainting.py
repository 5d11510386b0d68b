"""Inpainting inside the mask: for objects that are removed or replaced (Stable Diffusion, SDXL, FLUX.1 Fill)."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

from fasttext2style.editors.diffusion.networks import native_size
from fasttext2style.editors.diffusion.noise import draw_strength
from fasttext2style.editors.diffusion.pipeline_editor import PipelineConfig, PipelineEditor, channels_first
from fasttext2style.editors.editor import EditRequest, EditResult, OnStep
from fasttext2style.editors.local_edit import SEEN


@dataclass(frozen=True)
class InpaintingConfig(PipelineConfig):
    """How holes are filled."""

    removal_prompt: str = "empty background, nothing there"
    """What is to be seen where something was removed: inpainting models follow descriptions, not instructions."""


class InpaintingEditor(PipelineEditor):
    """Repaints the mask: by the instruction, read as a description, or with background in mode "remove"."""

    capabilities = frozenset({"mask", "negative", "strength", "guidance", "steps", "seed", "batch"})
    config_class = InpaintingConfig

    def trained_size(self, pipeline: Any) -> int:
        if hasattr(pipeline, "unet"):
            return native_size(pipeline)
        return int(pipeline.default_sample_size * pipeline.vae_scale_factor)

    def edit(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult:
        """
        Raises:
            ValueError: no mask.
        """
        if request.mask is None:
            raise ValueError("Inpainting needs a mask that says where; select an object first.")
        return super().edit(request, on_step)

    def arguments(self, request: EditRequest) -> dict[str, Any]:
        assert request.mask is not None and isinstance(self.config, InpaintingConfig)
        views, height, width = request.images.shape[:3]
        removing = request.mode == "remove"
        # What is to vanish must not shine through.
        strength = 1.0 if removing else draw_strength(request)
        arguments = {
            "prompt": [self.config.removal_prompt if removing else request.instruction] * views,
            "negative_prompt": [request.negative] * views,
            "image": channels_first(request.images).to(self.device),
            # Soft edges too are repainted; how much of them is seen decides the composite.
            "mask_image": channels_first((request.mask > SEEN).float()).to(self.device),
            # Else the size silently becomes the model's own.
            "height": height,
            "width": width,
            "strength": strength,
            # The pipeline takes the share `strength` of these.
            "num_inference_steps": math.ceil(request.steps / strength - 1e-6),
            "guidance_scale": self.config.guidance or request.guidance,
        }
        known = inspect.signature(self._pipeline.__call__).parameters
        return {name: value for name, value in arguments.items() if name in known}
