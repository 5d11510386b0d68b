"""Real captures: reconstructed, selected by clicks and by themselves, measured against outlines drawn by eye."""

import pytest
import torch

from fasttext2style.plugin.runs.run import open_run
from fasttext2style.selection.automatic import select_automatic
from fasttext2style.selection.clicks import ClickSelector
from fasttext2style.selection.picking import pick
from tests.plugin.hosts import scene_config, train
from tests.plugin.outlines import mean_iou, outlined
from tests.selection.shared_scenes import BEAR_CLICKS


@pytest.fixture(scope="module")
def reconstructed(shared_data, tmp_path_factory):
    def once(statue: str):
        if statue not in runs:
            data, folder = shared_data / "captures" / statue, tmp_path_factory.mktemp(statue)
            run = open_run(train(scene_config(data, folder, steps=1500)).base_dir)
            runs[statue] = run, *outlined(run, statue, data)
        return runs[statue]

    runs = {}
    return once


@pytest.mark.slow
@pytest.mark.parametrize(("statue", "expected"), [("bear", 0.9), ("dinosaur", 0.85)])
def test_a_statue_is_found_by_itself(reconstructed, statue, expected):
    run, views, masks = reconstructed(statue)
    assert mean_iou(run, views, masks, select_automatic(run.gaussians(), run.cameras()).weights) > expected


@pytest.mark.slow
def test_one_click_or_five_select_the_bear(reconstructed):
    run, views, masks = reconstructed("bear")
    scene, cameras = run.gaussians().detach(), run.cameras()
    selector = ClickSelector(scene, cameras)
    ious = {}
    for name, clicks in BEAR_CLICKS.items():
        on, beside = (torch.stack([pick(scene, cameras[v], x, y).position for v, x, y in some]) for some in clicks)
        ious[name] = mean_iou(run, views, masks, selector.select(on, beside).weights)
        ious[f"{name}, the first alone"] = mean_iou(run, views, masks, selector.select(on[:1]).weights)
    assert min(ious.values()) > 0.9, ious
