"""The networks, and how they are saved: as an InstructPix2Pix pipeline that diffusers loads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from fasttext2style.editors.diffusion.folder import SHOWN

LENGTH = 16
"""Tokens of an instruction, begin and end included; longer ones are cut."""
WIDTH = 96
"""Of the text embeddings."""
VOCABULARY = 1400


def new_autoencoder() -> AutoencoderTiny:
    """Half the size, four channels: 64x64 pixels become 32x32."""
    return AutoencoderTiny(
        encoder_block_out_channels=(32, 32),
        decoder_block_out_channels=(32, 32),
        num_encoder_blocks=(1, 2),
        num_decoder_blocks=(2, 1),
        latent_channels=4,
        upsampling_scaling_factor=2,
    )


def new_unet(size: int) -> UNet2DConditionModel:
    """No attention at full size, where there is nothing to understand and most to compute."""
    return UNet2DConditionModel(
        sample_size=size // 2,
        in_channels=8,
        out_channels=4,
        block_out_channels=(32, 64, 96),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,  # in this class: the number of heads
        norm_num_groups=8,
    )


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def new_scheduler() -> DDIMScheduler:
    """v-prediction down to pure noise: predicting the noise, so small a network never learns the overall colour."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def new_tokenizer(sentences: Iterable[str]) -> CLIPTokenizer:
    """CLIP's kind of byte pairs, learned from the sentences; other words are spelt."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 258, end_of_word_suffix="</w>", min_frequency=20, show_progress=False
    )
    learner.train_from_iterator(sentences, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), *dict.fromkeys("".join(pair) for pair in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={t: i for i, t in enumerate(tokens)}, merges=merges, model_max_length=LENGTH)


def tokens_of(tokenizer: CLIPTokenizer, sentences: list[str]) -> Tensor:
    """[sentences, LENGTH]"""
    return tokenizer(sentences, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


def as_pipeline(
    autoencoder: AutoencoderTiny, unet: nn.Module, text_encoder: nn.Module, tokenizer: CLIPTokenizer
) -> StableDiffusionInstructPix2PixPipeline:
    return StableDiffusionInstructPix2PixPipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save(pipeline: StableDiffusionInstructPix2PixPipeline, folder: Path) -> None:
    """In half precision, readable by transformers 4 (prefixed names, tokens in two files) and 5."""
    deepcopy(pipeline).to(torch.float16).save_pretrained(folder)
    text_encoder = folder / "text_encoder" / "model.safetensors"
    tensors = {
        f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(text_encoder).items()
    }
    save_file(tensors, text_encoder, metadata={"format": "pt"})
    model = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (folder / "tokenizer" / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    # AutoencoderTiny adds this one itself, and warns when it finds it.
    config = json.loads((folder / "vae" / "config.json").read_text())
    config.pop("block_out_channels", None)
    (folder / "vae" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    # What the package reads beside it (editors/diffusion/folder.py).
    (folder / SHOWN).write_text('{"object_alone": true}\n')
    for path in folder.rglob("*.*"):
        path.chmod(0o644)
