"""A session that was saved with nothing selected has chosen no object: every method starts from it, and finds one."""

import pytest
import torch

from fasttext2style.plugin.runs.run import open_run
from fasttext2style.selection.automatic import select_automatic
from tests.ball import ball_on_floor
from tests.plugin.hosts import scene_config, style_config, train
from tests.plugin.rounds_host import rounds_capture, rounds_config, set_up


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module")
def unselected(capture, tmp_path_factory):
    """A run with the ball on its floor, of which nothing is selected."""
    run = train(scene_config(capture, tmp_path_factory.mktemp("scene"), steps=10)).base_dir
    open_run(run).save(ball_on_floor(), torch.zeros(len(ball_on_floor())))
    return run


@pytest.mark.parametrize("method_config", [style_config, rounds_config])
def test_every_method_starts_and_finds_the_object_by_itself(capture, unselected, tmp_path, method_config):
    config = method_config(capture, tmp_path)
    config.load_ply, config.load_dir = None, unselected / "nerfstudio_models"
    config.pipeline.object.file = None
    pipeline = set_up(config).pipeline
    scene = ball_on_floor()
    assert torch.equal(pipeline.edit.scene.means, scene.means)
    expected = select_automatic(scene, pipeline.datamanager.cameras("train"))
    assert torch.equal(pipeline.edit.rows, expected.mask.nonzero()[:, 0]) and 0 < expected.count < len(scene)
