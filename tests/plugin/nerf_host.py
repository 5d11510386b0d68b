"""Runs of fasttext2style-nerf on the ball: a NeRF of a few thousand weights, ten views of 32 pixels."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from fasttext2style.plugin.nerf.method import fasttext2style_nerf
from tests.plugin.hosts import _placed

SMALL = {
    "num_levels": 4,
    "log2_hashmap_size": 11,
    "max_res": 64,
    "hidden_dim": 16,
    "hidden_dim_color": 16,
    "appearance_embed_dim": 4,
    "num_proposal_samples_per_ray": (12, 8),
    "num_nerf_samples_per_ray": 6,
    "proposal_net_args_list": [{"hidden_dim": 4, "log2_hashmap_size": 8, "num_levels": 2, "max_res": 32}] * 2,
    "implementation": "torch",
    "average_init_density": 0.02,
}
"""Other settings than the method's own, the factor in every density among them."""


def nerf_config(capture: Path, output: Path, prompt: str = "", base: Path | None = None, small: bool = False):
    """Settings of a short run; `small` sets the model, which an edit takes from its base."""
    config = _placed(fasttext2style_nerf.config, capture, output)
    config.timestamp = "edit" if prompt else "base"
    config.pipeline.rays = 512
    if small:
        for name, value in SMALL.items():
            setattr(config.pipeline.model, name, deepcopy(value))
    if not prompt:
        config.max_num_iterations = 150
        return config
    config.prompt = config.pipeline.model.prompt = prompt
    config.load_dir = base
    config.pipeline.editor = "tests.rounds.editors:Painter"
    config.pipeline.datamanager.object_masks = capture / "masks"
    config.pipeline.rounds.losses.lpips = "off"
    schedule = config.pipeline.rounds.schedule
    schedule.rounds, schedule.steps, schedule.views, schedule.patch, schedule.batch = 2, 12, 4, 8, 8
    return config
