"""Segmentation models at tiny sizes: the real classes of transformers with random weights, saved as folders."""

import json
import shutil
import string
from pathlib import Path
from typing import Any

import torch
from PIL import Image

PIECES = [
    "<|startoftext|>",
    "<|endoftext|>",
    *string.ascii_lowercase,
    *(f"{letter}</w>" for letter in string.ascii_lowercase),
]


def save_clipseg(folder: Path) -> None:
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, ViTImageProcessor

    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "vocab_size": len(PIECES)}
    config = CLIPSegConfig(
        text_config={**small, **ends, "max_position_embeddings": 32},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=16,
        extract_layers=[0, 1, 2],
        reduce_dim=8,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )
    processor = CLIPSegProcessor(ViTImageProcessor(size={"height": 32, "width": 32}), _clip_tokenizer(folder))
    _save(CLIPSegForImageSegmentation(config), processor, folder)


def save_grounding_dino(folder: Path) -> None:
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    pieces = [f"[unused{row}]" for row in range(1100)]
    # The model knows BERT's numbers of these by heart: they part one phrase from the next.
    for row, piece in {
        0: "[PAD]",
        100: "[UNK]",
        101: "[CLS]",
        102: "[SEP]",
        103: "[MASK]",
        1012: ".",
        1029: "?",
    }.items():
        pieces[row] = piece
    pieces[200:252] = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin",
            "image_size": 64,
            "embed_dim": 8,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 1, 1],
            "out_indices": [2, 3, 4],
        },
        text_config=BertConfig(
            vocab_size=len(pieces),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
            max_position_embeddings=64,
        ),
        d_model=32,
        num_queries=4,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        max_text_len=64,
    )
    vocabulary = folder / "vocab.txt"
    folder.mkdir(parents=True)
    vocabulary.write_text("\n".join(pieces))
    size = {"shortest_edge": 64, "longest_edge": 128}
    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), BertTokenizer(str(vocabulary)))
    _save(GroundingDinoForObjectDetection(config), processor, folder)


def save_sam2(folder: Path) -> None:
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    backbone = {
        "model_type": "sam2_hiera_det_model",
        "image_size": [64, 64],
        "hidden_size": 8,
        "embed_dim_per_stage": [8, 16, 32, 64],
        "blocks_per_stage": [1, 1, 2, 1],
        "num_attention_heads_per_stage": [1, 1, 2, 4],
        "window_size_per_stage": [4, 4, 4, 2],
        "global_attention_blocks": [3],
    }
    config = Sam2Config(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": backbone,
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    )
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": 64, "width": 64}))
    model = Sam2Model(config)
    with torch.no_grad():
        for parameter in model.mask_decoder.parameters():
            parameter.mul_(8)  # else every mask is 0.5 to five digits
    _save(model, processor, folder)


def save_sam3(folder: Path) -> None:
    from transformers import Sam3Config, Sam3ImageProcessor, Sam3Model, Sam3Processor

    small = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 4, "intermediate_size": 32}
    config = Sam3Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam3_vit_model",
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 32,
                "image_size": 56,
                "patch_size": 14,
                "pretrain_image_size": 56,
                "window_size": 2,
                "global_attn_indexes": [1],
            },
            "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": len(PIECES),
            "hidden_size": 32,
            "intermediate_size": 32,
            "projection_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "max_position_embeddings": 32,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        geometry_encoder_config=small,
        detr_encoder_config=small,
        detr_decoder_config={**small, "num_queries": 4},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 4},
    )
    processor = Sam3Processor(Sam3ImageProcessor(size={"height": 56, "width": 56}), _clip_tokenizer(folder))
    _save(Sam3Model(config), processor, folder)


def save_as_tracker(folder: Path, video_folder: Path) -> None:
    """The SAM 2 or SAM 3 of a folder inside a model that tracks things in videos, as both are published."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    tracking = {
        "memory_attention_hidden_size": 32,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 32,
        "memory_attention_rope_feat_sizes": [4, 4],
        "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 8,
        "mask_downsampler_embed_dim": 32,
        "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 32,
        "memory_fuser_num_layers": 1,
        "vision_config": config.vision_config.to_dict(),
    }
    if config.model_type == "sam2":
        parts = {name: getattr(config, name).to_dict() for name in ("prompt_encoder_config", "mask_decoder_config")}
        model = transformers.Sam2VideoModel(transformers.Sam2VideoConfig(**tracking, **parts, image_size=64))
        still = transformers.Sam2Model.from_pretrained(folder)
        model.load_state_dict(still.state_dict(), strict=False)
    else:
        prompt = {"hidden_size": 32, "image_size": 56, "patch_size": 14}
        decoder = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
        tracker = transformers.Sam3TrackerVideoConfig(
            **tracking, prompt_encoder_config=prompt, mask_decoder_config=decoder
        ).to_dict()
        both = transformers.Sam3VideoConfig(detector_config=config.to_dict(), tracker_config=tracker)
        model = transformers.Sam3VideoModel(both)
        still = transformers.Sam3Model.from_pretrained(folder)
        model.detector_model.load_state_dict(still.state_dict())
    shutil.copytree(folder, video_folder)
    model.save_pretrained(video_folder)


def pictures(views: int = 2, height: int = 48, width: int = 64) -> torch.Tensor:
    """[views, height, width, 3]: coloured discs on grey, each view another colour; not square on purpose."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    disc = ((x - 40) ** 2 + (y - 20) ** 2 < 12**2).float()[..., None]
    colors = torch.rand(views, 1, 1, 3, generator=torch.Generator().manual_seed(1))
    return 0.5 * (1 - disc) + colors * disc


def as_pil(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().byte().numpy())


def _clip_tokenizer(folder: Path):
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({piece: row for row, piece in enumerate(PIECES)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=32)


def _save(model: Any, processor: Any, folder: Path) -> None:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
