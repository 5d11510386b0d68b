"""The first test of this project: after loading a checkpoint, training changes something.

nerfstudio 1.1 builds optimizers first and replaces the parameters while loading; what is optimized afterwards is not
what is rendered, and nothing trains, without a word. Every plugin of its kind had this.
"""

from pathlib import Path

import pytest
import torch

from tests.plugin.hosts import make_capture, scene_config, train


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    return make_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module")
def base_run(capture, tmp_path_factory):
    return train(scene_config(capture, tmp_path_factory.mktemp("base"), steps=12))


def _changes(trainer, before):
    params = trainer.pipeline.model.gauss_params
    return {name: float((params[name].detach() - before[name]).abs().max()) for name in before}


def test_parameters_move_after_loading_a_checkpoint(base_run, capture, tmp_path):
    config = scene_config(capture, tmp_path, steps=22)
    config.load_dir = base_run.checkpoint_dir
    before = {n: p.detach().clone() for n, p in base_run.pipeline.model.gauss_params.items()}
    trainer = train(config)
    for name, optimizer in trainer.optimizers.optimizers.items():
        assert optimizer.param_groups[0]["params"][0] is trainer.pipeline.model.gauss_params[name]
    changes = _changes(trainer, before)
    assert all(change > 0 for name, change in changes.items() if name != "features_rest"), changes


def test_a_resumed_run_ends_as_the_uninterrupted_one(capture, tmp_path):
    whole = train(scene_config(capture, tmp_path / "whole", steps=18))
    half = train(scene_config(capture, tmp_path / "half", steps=10))
    config = scene_config(capture, tmp_path / "rest", steps=18)
    config.load_dir = half.checkpoint_dir
    rest = train(config)
    assert rest.step == whole.step == 17
    for name, parameter in whole.pipeline.model.gauss_params.items():
        assert torch.equal(rest.pipeline.model.gauss_params[name], parameter), name


def test_resume_keeps_the_command_lines_learning_rates(base_run, capture, tmp_path):
    config = scene_config(capture, tmp_path, steps=14)
    config.load_dir = base_run.checkpoint_dir
    config.optimizers["features_dc"]["optimizer"].lr = 0.5
    trainer = train(config)
    assert trainer.optimizers.optimizers["features_dc"].param_groups[0]["lr"] == 0.5


def test_checkpoints_hold_gaussians_and_nothing_frozen(base_run):
    path = next(base_run.checkpoint_dir.glob("*.ckpt"))
    # The default of torch >= 2.6, without our allow-list: no NumPy numbers inside.
    state = torch.load(path, weights_only=True)
    keys = set(state["pipeline"])
    assert {f"_model.gauss_params.{n}" for n in ("means", "features_dc", "opacities")} <= keys
    assert not [key for key in keys if "lpips" in key or "clip" in key]
    # What the output `before` shows is kept for edited rows alone, and here there is none.
    assert all(len(state["pipeline"][key]) == 0 for key in keys if key.startswith("_model.earlier."))
    assert len([key for key in keys if not key.startswith("_model.earlier.")]) <= 9
