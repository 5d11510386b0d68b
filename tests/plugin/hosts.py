"""Small captures and runs for tests of the host: a coloured ball on a floor, ten views of 48 pixels."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fasttext2style.plugin.scene.method import fasttext2style_scene
from fasttext2style.plugin.style.method import fasttext2style
from fasttext2style.scene.rasterize import render
from tests.ball import BALL, ball_on_floor, capture_cameras


def make_capture(folder: Path, size: int = 48, masks: bool = False) -> Path:
    """Write the ball as a capture in nerfstudio's format, with its points."""
    scene, cameras = ball_on_floor(), capture_cameras(size)
    images = (render(scene, cameras)[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    (folder / "images").mkdir(parents=True)
    poses = torch.eye(4).repeat(len(cameras), 1, 1)
    poses[:, :3] = cameras.to_opengl()
    K = cameras.Ks[0]
    frames = []
    for view, image in enumerate(images):
        name = f"images/frame_{view:02d}.png"
        Image.fromarray(image).save(folder / name)
        frames.append({"file_path": name, "transform_matrix": poses[view].tolist()})
    if masks:
        (folder / "masks").mkdir()
        white = render(scene.subset(torch.arange(BALL)), cameras)[1][..., 0] > 0.5
        for view, mask in enumerate(white.numpy()):
            Image.fromarray((mask * 255).astype(np.uint8)).save(folder / "masks" / f"frame_{view:02d}.png")
    meta = {
        "w": size,
        "h": size,
        "fl_x": float(K[0, 0]),
        "fl_y": float(K[1, 1]),
        "cx": float(K[0, 2]),
        "cy": float(K[1, 2]),
        "camera_model": "OPENCV",
        "ply_file_path": "points.ply",
        "frames": frames,
    }
    (folder / "transforms.json").write_text(json.dumps(meta))
    points = scene.means.numpy()
    colors = np.repeat([[128, 128, 128], [51, 128, 51]], [BALL, len(points) - BALL], axis=0)
    header = (
        f"ply\nformat ascii 1.0\nelement vertex {len(points)}\nproperty float x\nproperty float y\nproperty float z\n"
        "property uint8 red\nproperty uint8 green\nproperty uint8 blue\nend_header\n"
    )
    rows = "\n".join(f"{x} {y} {z} {r} {g} {b}" for (x, y, z), (r, g, b) in zip(points, colors))
    (folder / "points.ply").write_text(header + rows + "\n")
    return folder


def _placed(config, capture: Path, output: Path):
    config = deepcopy(config)
    config.data = config.pipeline.datamanager.data = capture
    parser = config.pipeline.datamanager.dataparser
    parser.orientation_method, parser.center_method, parser.auto_scale_poses = "none", "none", False
    config.output_dir = output
    config.experiment_name = "test"
    config.vis = "tensorboard"
    config.set_timestamp()
    return config


def scene_config(capture: Path, output: Path, steps: int):
    """Settings of a short reconstruction without densification."""
    config = _placed(fasttext2style_scene.config, capture, output)
    config.max_num_iterations = steps
    config.pipeline.model.stop_split_at = 0
    config.pipeline.model.sh_degree_interval = 10**6
    return config


def style_config(capture: Path, output: Path, prompt: str = "red", steps: int = 4):
    """Settings of a short styling with the embedded encoder, no video."""
    config = _placed(fasttext2style.config, capture, output)
    config.max_num_iterations = steps
    config.prompt = config.pipeline.model.prompt = prompt
    config.pipeline.encoder = "tiny"
    config.pipeline.video_seconds = 0.0
    config.reconstruction_steps = 10
    return config


def train(config):
    """Set up and train in this process; returns the trainer."""
    torch.manual_seed(config.machine.seed)
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    return trainer
