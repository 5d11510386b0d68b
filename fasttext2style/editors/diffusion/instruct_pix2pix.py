"""InstructPix2Pix: our own denoising loop over the networks of diffusers' pipeline.

The pipeline's own call starts from pure noise, has no mask and cannot batch views that share noise; the loop is short.
Notation: latents are [views, channels, height / f, width / f]; a branch is one of the conditionings that guidance
combines (Brooks et al. 2023, equation 3).
"""

from __future__ import annotations

import inspect
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editors.diffusion.key_views import attention_to_key_views
from fasttext2style.editors.diffusion.lora import lora_digests
from fasttext2style.editors.diffusion.memory import check_cpu_memory
from fasttext2style.editors.diffusion.networks import NetworkConfig, native_size, prepare_pipeline
from fasttext2style.editors.diffusion.noise import (
    check_scheduler,
    draw_strength,
    make_scheduler,
    noise_generators,
    partial_timesteps,
)
from fasttext2style.editors.editor import EditRequest, EditResult, OnStep

if TYPE_CHECKING:
    from diffusers import StableDiffusionInstructPix2PixPipeline

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class InstructPix2PixConfig(NetworkConfig):
    """How InstructPix2Pix is run. The VAE runs in fp32 whatever `dtype` says: some overflow in half precision."""

    scheduler: str = "DDIMScheduler"
    """One of `noise.SCHEDULERS`. DDIM draws no noise on the way, and is Instruct-NeRF2NeRF's."""
    latent_blend: bool = True
    """Keep latents outside the mask on the images' own path of noise, so that the object fits into what stays."""
    key_views: int = 0
    """So many views of each batch are seen by all others; 0 for none. Slower and more consistent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scheduler(self.scheduler)
        if self.key_views < 0:
            raise ValueError(f"key_views is 0 or more, got {self.key_views}")


class InstructPix2PixEditor:
    """Edits views by Stable Diffusion fine-tuned on pairs and instructions (Brooks et al. 2023)."""

    capabilities = frozenset(
        {"condition", "mask", "negative", "strength", "guidance", "image_guidance", "steps", "seed", "batch"}
    )

    config_class = InstructPix2PixConfig

    @staticmethod
    def load_dtype(config: InstructPix2PixConfig, device: torch.device) -> torch.dtype:
        """Loaded in full precision: the VAE stays so, the others are cast."""
        return torch.float32

    def __init__(
        self,
        pipeline: StableDiffusionInstructPix2PixPipeline,
        device: torch.device | str = "cpu",
        config: InstructPix2PixConfig | None = None,
        name: str = "InstructPix2Pix",
        revision: str = "",
    ):
        self.name, self.revision, self._tokens_told = name, revision, 0
        self.device = torch.device(device)
        self.config = config or InstructPix2PixConfig()
        self.key_views = self.config.key_views
        self.pipeline = pipeline
        self._scheduler = make_scheduler(self.config.scheduler, pipeline.scheduler.config)
        self._pixels_per_latent = pipeline.vae_scale_factor
        self.native_size = native_size(pipeline)
        assert isinstance(self.config.lora, tuple)
        self._lora_digests = lora_digests(self.config.lora)
        self._prepare()

    @torch.no_grad()
    def edit(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult:
        """The views after denoising from the request's noise level.

        Raises:
            ValueError: a CPU has not the memory for it.
        """
        started = time.perf_counter()
        views, height, width = request.images.shape[:3]
        check_cpu_memory(self.device, self.memory_needed(views, height, width), self.name, views)
        image_latents = self.encode(request.images)
        condition = image_latents if request.condition is None else self.encode(request.condition)
        branches = self._branches(request, condition)

        strength = draw_strength(request)
        timesteps = partial_timesteps(self._scheduler, request.steps, strength, self.device)
        latents = self._denoise(request, image_latents, branches, timesteps, on_step)

        edited = self.decode(latents, height, width).to(request.images)
        self.pipeline.maybe_free_model_hooks()
        info = {
            "model": self.name,
            "revision": self.revision,
            "scheduler": self.config.scheduler,
            "dtype": str(self._dtype).removeprefix("torch."),
            "strength": round(strength, 4),
            "t_start": round(timesteps[0].item()),
            "seed": request.seed,
            "lora": self._lora_digests,
            "unet_evaluations": len(timesteps) * len(branches),
            "edit_seconds": round(time.perf_counter() - started, 3),
        }
        return EditResult(edited, info)

    def _prepare(self) -> None:
        pipeline, half = self.pipeline, self.config.torch_dtype(self.device, "fp16")
        for network, dtype in ((pipeline.unet, half), (pipeline.text_encoder, half), (pipeline.vae, torch.float32)):
            if network.dtype != dtype:
                # torch's own: diffusers' warns of modules that stay in float32 when there are none.
                torch.nn.Module.to(network, dtype)
        if self.native_size >= 256:
            # One view at a time: decoding large pictures takes more memory than the UNet does.
            pipeline.vae.enable_slicing()
        prepare_pipeline(pipeline, self.device, self.config)

    def memory_needed(self, views: int, height: int, width: int) -> int:
        """Bytes that an edit needs beside the weights, estimated from the widths of the networks.

        Measured on a CPU, peaks hold as much as 44 maps of the UNet's first width (12 images of 64 x 64 latents), and
        14 of the VAE's at full resolution (Stable Diffusion at 256 x 256: 0.44 GiB).
        """
        latent_pixels = height * width // self._pixels_per_latent**2
        unet = 3 * views * latent_pixels * self.pipeline.unet.config.block_out_channels[0] * 44 * self._dtype.itemsize
        decoded_at_once = 1 if self.pipeline.vae.use_slicing else views
        vae = decoded_at_once * height * width * self.pipeline.vae.config.block_out_channels[0] * 14 * 4
        return max(unet, vae)

    def close(self) -> None:
        """Free the networks."""
        del self.pipeline
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def _dtype(self) -> torch.dtype:
        return self.pipeline.unet.dtype

    def _denoise(
        self,
        request: EditRequest,
        image_latents: Float[Tensor, "views channels h w"],
        branches: list[tuple[float, Tensor, Tensor]],
        timesteps: Float[Tensor, " evaluations"],
        on_step: OnStep | None,
    ) -> Float[Tensor, "views channels h w"]:
        """From noised image latents to edited ones.

        Scheduler arithmetic is in fp32, whatever the UNet's precision: small steps would round away.
        """
        from diffusers.utils.torch_utils import randn_tensor

        views = len(image_latents)
        generators = noise_generators(request)
        noise = randn_tensor(tuple(image_latents.shape), generators, self.device, torch.float32)
        latent_mask = self._latent_mask(request, image_latents)
        scales = [scale for scale, _, _ in branches]
        texts = torch.cat([text.expand(views, -1, -1) for _, text, _ in branches])
        conditions = torch.cat([condition for _, _, condition in branches])
        step_arguments = _step_arguments(self._scheduler, generators)

        def noised(timestep: Tensor) -> Tensor:
            return self._scheduler.add_noise(image_latents, noise, timestep.to(self._scheduler.timesteps).expand(views))

        latents, dtype = noised(timesteps[0]), self._dtype
        with attention_to_key_views(self.pipeline.unet, min(self.key_views, views), len(branches)):
            for index, timestep in enumerate(self._scheduler.timesteps[-len(timesteps) :]):
                scaled = self._scheduler.scale_model_input(torch.cat([latents] * len(branches)), timestep)
                inputs = torch.cat([scaled, conditions], dim=1).to(dtype)
                outputs = self.pipeline.unet(inputs, timestep, encoder_hidden_states=texts, return_dict=False)[0]
                prediction = sum(scale * output for scale, output in zip(scales, outputs.float().chunk(len(branches))))
                latents = self._scheduler.step(prediction, timestep, latents, **step_arguments, return_dict=False)[0]
                last = index == len(timesteps) - 1
                # A solver of second order has a point of the path only after its second evaluation.
                if latent_mask is not None and (last or (index + 1) % self._scheduler.order == 0):
                    kept = image_latents if last else noised(timesteps[index + 1])
                    latents = torch.lerp(kept, latents, latent_mask)
                if on_step is not None:
                    on_step(index + 1, len(timesteps))
        return latents

    def _branches(self, request: EditRequest, condition: Tensor) -> list[tuple[float, Tensor, Tensor]]:
        """Scale, text [1, tokens, channels] and condition of each branch that the guidance needs.

        With e(image, text), equation 3 is e(0, 0) + image_guidance (e(I, 0) - e(0, 0)) + guidance (e(I, T) - e(I, 0)).
        Sorted by e it has three scales that add up to 1; a branch of scale 0 is not computed: guidance 1 and 1 costs
        one evaluation instead of three.
        """
        # The image's latents are the bare mean of the VAE here, without its scaling factor.
        bare = condition / self.pipeline.vae.config.scaling_factor
        text, negative = self.embed([request.instruction, request.negative]).split(1)
        branches = [
            (request.guidance, text, bare),
            (request.image_guidance - request.guidance, negative, bare),
            (1 - request.image_guidance, negative, torch.zeros_like(bare)),
        ]
        return [branch for branch in branches if branch[0] != 0]

    def embed(self, texts: list[str]) -> Float[Tensor, "texts tokens channels"]:
        tokenizer = self.pipeline.tokenizer
        tokens = tokenizer(
            texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
        )
        used = max(len(ids) for ids in tokenizer(texts).input_ids)
        if used > max(tokenizer.model_max_length, self._tokens_told):
            self._tokens_told = used  # once, and not with every batch of views
            logger.warning(
                "The instruction has %d tokens, %s reads the first %d", used, self.name, tokenizer.model_max_length
            )
        return self.pipeline.text_encoder(tokens.input_ids.to(self.device))[0]

    def _encodable(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views 3 h w"]:
        """Channels first in [-1, 1], padded right and below to what VAE and UNet can halve."""
        multiple = self._pixels_per_latent * 2 ** (len(self.pipeline.unet.config.block_out_channels) - 1)
        padding = [-size % multiple for size in (images.shape[2], images.shape[1])]
        padded = F.pad(images.movedim(-1, 1), (0, padding[0], 0, padding[1]), mode="replicate")
        return padded.to(self.device, torch.float32) * 2 - 1

    def encode(self, images: Float[Tensor, "views height width 3"]) -> Float[Tensor, "views channels h w"]:
        """Scaled latents: the mode of the VAE's distribution, so that nothing is random here."""
        encoded = self.pipeline.vae.encode(self._encodable(images))
        latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        return latents * self.pipeline.vae.config.scaling_factor

    def decode(
        self, latents: Float[Tensor, "views channels h w"], height: int, width: int
    ) -> Float[Tensor, "views height width 3"]:
        """Pictures of that size, which was padded to be encoded."""
        decoded = self.pipeline.vae.decode(latents / self.pipeline.vae.config.scaling_factor, return_dict=False)[0]
        return (decoded / 2 + 0.5).clamp(0, 1).movedim(1, -1)[:, :height, :width]

    def _latent_mask(self, request: EditRequest, latents: Tensor) -> Float[Tensor, "views 1 h w"] | None:
        if request.mask is None or not self.config.latent_blend:
            return None
        mask = self._encodable(request.mask.expand(-1, -1, -1, 3))[:, :1] / 2 + 0.5
        # All that the object touches and the next ones, for decoders mix neighbours: with less, its rim keeps its old
        # colours. What lies outside the mask is kept by the final composite anyway.
        return F.max_pool2d(F.adaptive_max_pool2d(mask, latents.shape[2:]), 3, 1, 1)


def _step_arguments(scheduler: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    """Schedulers that draw noise on the way draw it from the views' generators."""
    takes = inspect.signature(scheduler.step).parameters
    return {"generator": generators} if "generator" in takes else {}
