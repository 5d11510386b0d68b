"""Outlines of statues, drawn by eye in the photographs of two real captures, as masks of a run's views."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from tests.selection.shared_scenes import coverage

OUTLINES = Path(__file__).parents[1] / "selection" / "statue_outlines.json"
DRAWN = 4
"""So many times finer than the photographs are the outlines filled."""


def outlined(run: Any, statue: str, data: Path) -> tuple[Cameras, Tensor]:
    """Views of a run for which there are outlines, and these as masks [views, height, width], undistorted as they are.

    Args:
        data: the capture's folder; its transforms.json knows the lens.
    """
    outlines = json.loads(OUTLINES.read_text())[statue]
    lens = json.loads((data / "transforms.json").read_text())
    views, masks = [], []
    for split in ("train", "eval"):
        cameras = run.cameras(split)
        photographs = getattr(run.pipeline.datamanager, f"{split}_dataset").image_filenames
        for view, name in enumerate(photographs):
            if name.stem in outlines:
                views.append(cameras[view])
                masks.append(_mask(outlines[name.stem], lens, cameras[view]))
    return Cameras.concatenated(views), torch.stack(masks)


def mean_iou(run: Any, views: Cameras, masks: Tensor, weights: Tensor) -> float:
    found = coverage(run.gaussians().detach(), weights, views) > 0.5
    return ((found & masks).sum(dim=(1, 2)) / (found | masks).sum(dim=(1, 2))).mean().item()


def _mask(polygons: list[list[list[int]]], lens: dict[str, float], camera: Cameras) -> Tensor:
    picture = Image.new("L", (DRAWN * int(lens["w"]), DRAWN * int(lens["h"])))
    for number, polygon in enumerate(polygons):  # the first is the outline, the others are holes in it
        corners = [(DRAWN * x, DRAWN * y) for x, y in polygon]
        ImageDraw.Draw(picture).polygon(corners, fill=0 if number else 255)
    drawn = np.array([[lens["fl_x"], 0, lens["cx"]], [0, lens["fl_y"], lens["cy"]], [0, 0, 1]])
    seen = camera.Ks[0].double().numpy().copy()
    for K in (drawn, seen):
        K[:2] *= DRAWN
        K[:2, 2] -= 0.5  # OpenCV counts from the middle of a pixel
    distortion = np.array([lens[name] for name in ("k1", "k2", "p1", "p2")])
    size = (DRAWN * camera.width, DRAWN * camera.height)
    across, down = cv2.initUndistortRectifyMap(drawn, distortion, np.eye(3), seen, size, cv2.CV_32FC1)
    filled = cv2.remap(np.asarray(picture), across, down, cv2.INTER_LINEAR)
    small = cv2.resize(filled, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small > 127)
