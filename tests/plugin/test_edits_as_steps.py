"""What ns-train does to an object is a step of the run's history, and a run that goes on carries the history over."""

import os

import numpy as np
import pytest
import torch

from fasttext2style.plugin.runs.history import open_run_with_history, save_with_history
from fasttext2style.scene.files.ply import read_ply, write_ply
from tests.plugin.hosts import BALL, ball_on_floor, make_capture, style_config, train


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = make_capture(tmp_path_factory.mktemp("capture"))
    write_ply(folder / "scene.ply", ball_on_floor())
    weights = np.zeros(len(ball_on_floor()), np.float32)
    weights[:BALL] = 1
    np.save(folder / "ball.npy", weights)
    np.save(folder / "floor.npy", 1 - weights)
    return folder


@pytest.fixture(scope="module")
def red_run(capture, tmp_path_factory):
    config = style_config(capture, tmp_path_factory.mktemp("red"), prompt="red", steps=3)
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    return train(config).config.get_base_dir()


def _bits(state):
    return {name: column.clone() for name, column in state.columns.items()}


def _same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_keeps_its_object_and_its_edit_as_steps(red_run):
    run, history, state = open_run_with_history(red_run)
    choice, edit = history.steps
    assert choice.kind == "selection" and "ball.npy" in choice.name
    assert (edit.kind, edit.name, edit.prompt, edit.gaussians_changed) == ("edit", "red", "red", BALL)
    assert edit.thumbnail is not None and {"similarity_before", "similarity_after"} <= edit.metrics.keys()
    assert [step.id for step in history.applied] == [1, 2]
    assert torch.equal(run.model.earlier.features_dc, ball_on_floor().sh_dc[:BALL])
    styled = read_ply(red_run / "results" / "styled.ply")
    assert torch.equal(state.columns["features_dc"], styled.sh_dc)


def test_a_run_that_goes_on_can_undo_what_came_before(red_run, capture, tmp_path):
    config = style_config(capture, tmp_path, prompt="blue", steps=3)
    config.load_dir = red_run / "nerfstudio_models"
    config.pipeline.object.file = capture / "floor.npy"
    folder = train(config).config.get_base_dir()
    run, history, state = open_run_with_history(folder)
    assert [step.name for step in history.steps if step.kind == "edit"] == ["red", "blue"]
    delta = "history/steps/0002/delta.safetensors"
    assert os.path.samefile(red_run / delta, folder / delta)
    state = history.drop(2, state)
    dropped = _bits(state)
    assert torch.equal(dropped["features_dc"][:BALL], ball_on_floor().sh_dc[:BALL])
    assert not torch.equal(dropped["features_dc"][BALL:], ball_on_floor().sh_dc[BALL:])
    save_with_history(run, history, state)
    assert _same(_bits(open_run_with_history(folder)[2]), dropped)
    # The run that was gone on from is untouched.
    assert open_run_with_history(red_run)[1].applied[-1].strength == 1.0


def test_undo_of_a_grown_object_brings_every_bit_back(capture, tmp_path):
    config = style_config(capture, tmp_path, prompt="red", steps=6)
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    config.pipeline.growth.enabled = True
    config.pipeline.growth.every = 2
    config.pipeline.growth.gradient_threshold = 0.0
    config.pipeline.styler.train = ("features_dc", "means", "scales")
    trainer = train(config)
    folder = trainer.config.get_base_dir()
    run, history, state = open_run_with_history(folder)
    assert len(state) > 300 and len(run.model.earlier.rows) == len(state) - 150
    state = history.undo(state)
    for name, value in ball_on_floor().to_splatfacto().items():
        assert torch.equal(state.columns[name], value), name
    state = history.redo(state)
    assert _same(_bits(state), _bits(open_run_with_history(folder)[2]))

    # Between two growths a step writes the object alone: the scene around it is not put together anew.
    pipeline, scene = trainer.pipeline, trainer.pipeline.model.gauss_params
    places = {name: column.data_ptr() for name, column in scene.items()}
    pipeline.edit.parameters["features_dc"].data.add_(1.0)
    pipeline.write_back()
    assert {name: column.data_ptr() for name, column in scene.items()} == places
    assert torch.equal(scene["features_dc"][150:], pipeline.edit.parameters["features_dc"])
    assert torch.equal(scene["features_dc"][:150], ball_on_floor().sh_dc[BALL:])


def test_a_history_that_cannot_be_written_does_not_lose_the_run(capture, tmp_path, monkeypatch, capsys):
    config = style_config(capture, tmp_path, prompt="red", steps=2)
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"

    def full(*arguments, **facts):
        raise ValueError("No space left on device")

    monkeypatch.setattr("fasttext2style.plugin.host.edit_record.EditRecord.finish", full)
    folder = train(config).config.get_base_dir()
    assert "not in the history" in " ".join(capsys.readouterr().out.split())
    assert list((folder / "nerfstudio_models").glob("*.ckpt"))
