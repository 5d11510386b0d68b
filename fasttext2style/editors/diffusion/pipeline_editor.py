"""An editor on a pipeline of diffusers as it is; each kind says in a few lines what it passes on."""

from __future__ import annotations

import inspect
import math
import time
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editors.diffusion.lora import lora_digests
from fasttext2style.editors.diffusion.networks import NetworkConfig, prepare_pipeline
from fasttext2style.editors.diffusion.noise import noise_generators
from fasttext2style.editors.editor import EditRequest, EditResult, OnStep


@dataclass(frozen=True)
class PipelineConfig(NetworkConfig):
    """How the pipeline is run."""

    guidance: float | None = None
    """Scale of the text's guidance in this model's own terms. None: the model's default for models with other terms
    than InstructPix2Pix (Kontext, Qwen), and the request's for the rest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.guidance is not None and not 0 <= self.guidance < math.inf:
            raise ValueError(f"The editor's guidance is 0 or more, got {self.guidance}")


class PipelineEditor:
    """Calls a pipeline with what `arguments` makes of a request."""

    capabilities: ClassVar[frozenset[str]]
    config_class: ClassVar[type[PipelineConfig]] = PipelineConfig
    half: ClassVar[Literal["fp16", "bf16"]] = "fp16"
    """Half precision that these models were made for."""
    one_by_one: ClassVar[bool] = False
    """The pipeline takes one image at a time."""
    native_size: int

    @classmethod
    def load_dtype(cls, config: PipelineConfig, device: torch.device) -> torch.dtype:
        return config.torch_dtype(device, cls.half)

    def __init__(
        self,
        pipeline: Any,
        device: torch.device | str = "cpu",
        config: PipelineConfig | None = None,
        name: str = "",
        revision: str = "",
    ):
        self.name, self.revision = name or type(pipeline).__name__, revision
        self.device = torch.device(device)
        self.config = config or self.config_class()
        self.native_size = self.trained_size(pipeline)
        self._pipeline = pipeline
        assert isinstance(self.config.lora, tuple)
        self._lora_digests = lora_digests(self.config.lora)
        prepare_pipeline(pipeline, self.device, self.config)

    def trained_size(self, pipeline: Any) -> int:
        """Side in pixels of the square pictures that the model was trained on."""
        raise NotImplementedError

    def arguments(self, request: EditRequest) -> dict[str, Any]:
        """Of the pipeline's call, beside generators and output type."""
        raise NotImplementedError

    @torch.no_grad()
    def edit(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult:
        started = time.perf_counter()
        views = range(len(request.images))
        batches = [[view] for view in views] if self.one_by_one else [list(views)]
        parts = []
        for index, rows in enumerate(batches):
            part = request.select(rows)
            output = self._pipeline(
                **({"num_inference_steps": request.steps} | self.arguments(part)),
                **self._progress(on_step, index, len(batches), request.steps),
                generator=noise_generators(part),
                output_type="pt",
            ).images
            parts.append(output.movedim(1, -1).to(request.images))
        info = {
            "model": self.name,
            "revision": self.revision,
            "scheduler": type(self._pipeline.scheduler).__name__,
            "dtype": str(self._pipeline.dtype).removeprefix("torch."),
            "seed": request.seed,
            "lora": self._lora_digests,
            "edit_seconds": round(time.perf_counter() - started, 3),
        }
        return EditResult(torch.cat(parts), info)

    def close(self) -> None:
        """Free the networks."""
        del self._pipeline
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _progress(self, on_step: OnStep | None, batch: int, batches: int, steps: int) -> dict[str, Any]:
        """The callback under the name that this pipeline has for it; pipelines that denoise a part only take fewer."""
        if on_step is None:
            return {}

        def report(step: int) -> None:
            on_step(batch * steps + step + 1, batches * steps)

        def on_step_end(pipeline: Any, step: int, timestep: Any, tensors: dict) -> dict:
            report(step)
            return tensors

        if "callback_on_step_end" in inspect.signature(self._pipeline.__call__).parameters:
            return {"callback_on_step_end": on_step_end}
        return {"callback": lambda step, timestep, latents: report(step)}


def channels_first(images: Float[Tensor, "views height width c"]) -> Float[Tensor, "views c height width"]:
    """As pipelines take images, in [0, 1]."""
    return images.movedim(-1, 1).contiguous()
