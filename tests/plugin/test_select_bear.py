"""A real capture: reconstructed, selected by five clicks and by itself, measured against outlines drawn by eye."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from fasttext2style.plugin.runs.run import open_run
from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection.automatic import select_automatic
from fasttext2style.selection.clicks import ClickSelector
from fasttext2style.selection.picking import pick
from tests.plugin.hosts import scene_config, train
from tests.selection.shared_scenes import BEAR_CLICKS, coverage

OUTLINES = Path(__file__).parents[1] / "selection" / "bear_polygons.json"


@pytest.fixture(scope="module")
def bear(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bear")
    return open_run(train(scene_config(shared_data / "captures" / "bear", folder, steps=1500)).base_dir)


def drawn_masks(run) -> tuple[Cameras, torch.Tensor]:
    """Views with outlines, and these as masks [views, height, width]."""
    outlines = json.loads(OUTLINES.read_text())
    views, masks = [], []
    for split in ("train", "eval"):
        cameras = run.cameras(split)
        photographs = getattr(run.pipeline.datamanager, f"{split}_dataset").image_filenames
        for view, name in enumerate(photographs):
            if name.stem in outlines:
                picture = Image.new("L", (512, 512))
                ImageDraw.Draw(picture).polygon([tuple(point) for point in outlines[name.stem]], fill=255)
                resized = picture.resize((cameras.width, cameras.height), Image.Resampling.BILINEAR)
                masks.append(torch.from_numpy(np.asarray(resized) > 127))
                views.append(cameras[view])
    return Cameras.concatenated(views), torch.stack(masks)


def mean_iou(run, weights: torch.Tensor) -> float:
    views, masks = drawn_masks(run)
    found = coverage(run.gaussians().detach(), weights, views) > 0.5
    return ((found & masks).sum(dim=(1, 2)) / (found | masks).sum(dim=(1, 2))).mean().item()


@pytest.mark.slow
def test_the_bear_is_found_by_itself(bear):
    assert mean_iou(bear, select_automatic(bear.gaussians(), bear.cameras()).weights) > 0.9


@pytest.mark.slow
def test_one_click_or_five_select_the_bear(bear):
    scene, cameras = bear.gaussians().detach(), bear.cameras()
    selector = ClickSelector(scene, cameras)
    ious = {}
    for name, clicks in BEAR_CLICKS.items():
        on, beside = (torch.stack([pick(scene, cameras[v], x, y).position for v, x, y in some]) for some in clicks)
        ious[name] = mean_iou(bear, selector.select(on, beside).weights)
        ious[f"{name}, the first alone"] = mean_iou(bear, selector.select(on[:1]).weights)
    assert min(ious.values()) > 0.9, ious
