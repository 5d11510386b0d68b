"""A real open_clip model at a tiny size: the real classes, random weights."""

import json

import open_clip
import pytest
import torch

SMALL = "FT2S-small-test-model"
SMALL_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 4, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory):
    """Name of a registered model and a file with weights that fit it."""
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / f"{SMALL}.json").write_text(json.dumps(SMALL_CONFIG))
    open_clip.add_model_config(folder / f"{SMALL}.json")
    torch.manual_seed(0)
    model = open_clip.create_model(SMALL)
    torch.save(model.state_dict(), folder / "small.pt")
    return SMALL, str(folder / "small.pt")


@pytest.fixture(scope="session")
def small_encoder(small_clip):
    from fasttext2style.guidance.load import load_encoder

    return load_encoder(*small_clip, "cpu")
