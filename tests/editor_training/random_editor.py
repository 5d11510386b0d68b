"""An InstructPix2Pix whose UNet has random weights, and a few pictures."""

from __future__ import annotations

import torch
from diffusers import AutoencoderTiny

from fasttext2style.editor_training.cases import EditCases
from fasttext2style.editor_training.policy import EditorPolicy
from fasttext2style.editor_training.settings import SamplingConfig
from fasttext2style.editors.diffusion.folder import TINY
from fasttext2style.editors.diffusion.instruct_pix2pix import InstructPix2PixConfig, InstructPix2PixEditor
from tests.editors.tiny_pipelines import stable_diffusion_noise, tiny_instruct_pix2pix

ATTENTION_AND_OUTPUT = ("to_q", "to_k", "to_v", "to_out.0", "conv_out")


def random_policy(
    rank: int = 4, seed: int = 0, targets: tuple[str, ...] = ATTENTION_AND_OUTPUT, **sampling
) -> EditorPolicy:
    """Small, and quick to sample from."""
    pipeline = tiny_instruct_pix2pix(AutoencoderTiny)
    # The embedded editor's own: what a random one decodes hardly depends on the latents.
    pipeline.vae = AutoencoderTiny.from_pretrained(TINY / "vae", torch_dtype=torch.float32)
    # As the embedded editor's: random noise predictions would send latents far away, where every picture is clamped.
    pipeline.scheduler = stable_diffusion_noise(prediction_type="v_prediction", rescale_betas_zero_snr=True)
    editor = InstructPix2PixEditor(pipeline, config=InstructPix2PixConfig(), name="random")
    settings = {"steps": 3, "guidance": 3.0, **sampling}
    return EditorPolicy(editor, SamplingConfig(**settings), rank, seed, targets)


def some_cases(count: int = 3, size: int = 16) -> EditCases:
    """Noise with a square in it; the square is to become red."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(count, size, size, 3, generator=generator)
    masks = torch.zeros(count, size, size, 1)
    for number in range(count):
        start = 2 + number % 4
        masks[number, start : start + 8, 4:12] = 1
    targets = torch.where(masks > 0, torch.tensor([0.8, 0.1, 0.1]), images)
    return EditCases(images, masks, ("make the square red",) * count, targets)
