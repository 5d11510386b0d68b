"""How the networks of a diffusers pipeline are run: precision, device, savings, LoRA."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from fasttext2style.editors.diffusion.lora import tensors_in_network, tensors_of_file
from fasttext2style.trust.sizes import check_is_file

logger = logging.getLogger(__name__)

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class NetworkConfig:
    """How the networks are run. What is asked of them stands in the request."""

    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """Precision. auto: half on CUDA (fp16 or bf16, as the model was made for), fp32 on a CPU."""
    vae_tiling: bool = False
    """Encode and decode in tiles: less memory above 1024 pixels, faint seams."""
    attention_slicing: bool = False
    """Slower and leaner; of use only where torch has no memory-efficient attention."""
    offload: bool = False
    """Keep on the GPU only the network that is running."""
    compile: bool = False
    """Compile the repeated blocks: seconds at the first edit, faster ever after on CUDA."""
    lora: tuple[str, ...] | str = ()
    """Files or folders of LoRA weights; as text, parted by commas."""
    lora_weights: tuple[float, ...] | float | str = ()
    """One factor per LoRA; empty: 1 each."""

    def __post_init__(self) -> None:
        # On the command line settings are words and numbers.
        if isinstance(self.lora, str):
            object.__setattr__(self, "lora", tuple(part.strip() for part in self.lora.split(",")))
        if not isinstance(self.lora_weights, tuple):
            try:
                factors = tuple(float(part) for part in str(self.lora_weights).split(","))
            except ValueError:
                raise ValueError(f"lora_weights are numbers, parted by commas; got {self.lora_weights!r}") from None
            object.__setattr__(self, "lora_weights", factors)
        if self.dtype not in ("auto", *DTYPES):
            raise ValueError(f"dtype is auto, {', '.join(DTYPES)}; got {self.dtype!r}")
        assert isinstance(self.lora, tuple) and isinstance(self.lora_weights, tuple)
        if self.lora_weights and len(self.lora_weights) != len(self.lora):
            raise ValueError(f"{len(self.lora)} LoRAs need as many lora_weights, got {len(self.lora_weights)}")

    def torch_dtype(self, device: torch.device, half: Literal["fp16", "bf16"]) -> torch.dtype:
        """The precision on a device for a model whose half precision is `half`."""
        if self.dtype != "auto":
            return DTYPES[self.dtype]
        return DTYPES[half] if device.type == "cuda" else torch.float32


def prepare_pipeline(pipeline: Any, device: torch.device, config: NetworkConfig) -> None:
    """LoRA, savings and device, in place.

    Raises:
        ValueError: a LoRA that does not fit, or offloading without a GPU.
    """
    for network in pipeline.components.values():
        if isinstance(network, torch.nn.Module):
            network.eval().requires_grad_(False)
    _load_loras(pipeline, config)
    pipeline.set_progress_bar_config(disable=True)
    if config.vae_tiling:
        pipeline.vae.enable_tiling()
    if config.attention_slicing:
        pipeline.enable_attention_slicing()
    if config.offload:
        if device.type != "cuda":
            raise ValueError(f"offload moves networks between CPU and GPU, but this editor is on {device}; turn it off")
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    if config.compile:
        denoiser(pipeline).compile_repeated_blocks(fullgraph=True)


@contextmanager
def libraries_are_quiet() -> Iterator[None]:
    """No progress bars for files, nor warnings about what is as it should be: a tiny VAE, a LoRA on the UNet alone."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, (verbosity, shows_progress) in zip(libraries, before):
            library.set_verbosity(verbosity)
            if shows_progress:
                library.enable_progress_bar()


def denoiser(pipeline: Any) -> Any:
    """The network that is evaluated in every step."""
    return pipeline.unet if hasattr(pipeline, "unet") else pipeline.transformer


def native_size(pipeline: Any) -> int:
    """Side in pixels of the square pictures that a UNet was trained on."""
    return int(pipeline.unet.config.sample_size * pipeline.vae_scale_factor)


def _load_loras(pipeline: Any, config: NetworkConfig) -> None:
    assert isinstance(config.lora, tuple) and isinstance(config.lora_weights, tuple)
    names = [f"lora_{index}" for index in range(len(config.lora))]
    for path, name in zip(config.lora, names):
        check_is_file(Path(path))
        try:
            with libraries_are_quiet():
                pipeline.load_lora_weights(path, adapter_name=name)
        except Exception as error:  # a damaged file fails in as many ways as there are damages
            why = " ".join(str(error).split())[:500] or type(error).__name__
            raise ValueError(f"The LoRA {path} cannot be loaded into {type(pipeline).__name__}: {why}") from error
        # Of weights that belong to none of its layers diffusers says no more than a warning.
        if not any(name in adapters for adapters in pipeline.get_list_adapters().values()):
            raise ValueError(
                f"The LoRA {path} is of another network: nothing in it belongs to {type(pipeline).__name__}"
            )
        there, taken = tensors_of_file(path), tensors_in_network(pipeline, name)
        if there is not None and taken < there:
            logger.warning(
                "The LoRA %s is loaded in part. Of its %d tensors %d belong to no layer of %s: it will do less than it "
                "was trained to.", path, there, there - taken, type(pipeline).__name__,
            )  # fmt: skip
    if names:
        pipeline.set_adapters(names, list(config.lora_weights or [1.0] * len(names)))
