"""A small capture: six noisy photographs of 24 x 16 pixels around the origin, 50 degrees wide."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fasttext2style.scene.cameras import Cameras

WIDTH, HEIGHT, FOCAL, VIEWS = 24, 16, 20.0, 6


def poses(views: int = VIEWS) -> list[list[list[float]]]:
    """Camera to world, 4 rows."""
    return _matrices(views).tolist()


@cache
def _matrices(views: int) -> torch.Tensor:
    matrices = torch.eye(4).repeat(views, 1, 1)
    matrices[:, :3] = Cameras.orbit((0, 0, 0), 2.0, views, WIDTH, HEIGHT).to_opengl()
    return matrices


def noise(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def small_capture(folder: Path, views: int = VIEWS) -> dict[str, Any]:
    """Write it into `folder`; returns the content of its transforms.json."""
    (folder / "images").mkdir(parents=True)
    frames = []
    for view, matrix in enumerate(poses(views)):
        name = f"images/{view:02d}.png"
        noise(view).save(folder / name)
        frames.append({"file_path": name, "transform_matrix": matrix})
    meta = {
        **{"camera_model": "PINHOLE", "w": WIDTH, "h": HEIGHT, "fl_x": FOCAL, "fl_y": FOCAL},
        **{"cx": WIDTH / 2, "cy": HEIGHT / 2, "frames": frames},
    }
    write(folder, meta)
    return meta


def write(folder: Path, meta: Any) -> None:
    (folder / "transforms.json").write_text(json.dumps(meta), encoding="utf8")
