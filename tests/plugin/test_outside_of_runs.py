"""What ft2s evaluate says about the rest of a scene: by files, over all edits of a run, undone and moved ones too."""

import json
import os
import shutil

import pytest
import torch

from fasttext2style.commands.evaluate import Evaluate
from fasttext2style.history.delta import Delta
from fasttext2style.history.state import SELECTION
from fasttext2style.plugin.runs.history import open_run_with_history, save_with_history
from fasttext2style.plugin.runs.outside import outside_of_run
from fasttext2style.scene.files.ply import write_ply
from tests.plugin.hosts import BALL, ball_on_floor, style_config, train
from tests.plugin.rounds_host import rounds_capture, rounds_config

FLOOR = len(ball_on_floor()) - BALL


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


def _style(capture, output, steps=3):
    config = style_config(capture, output, prompt="red", steps=steps)
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    return config


@pytest.fixture(scope="module")
def style_run(capture, tmp_path_factory):
    return train(_style(capture, tmp_path_factory.mktemp("style"))).base_dir


@pytest.fixture(scope="module")
def grown_run(capture, tmp_path_factory):
    config = _style(capture, tmp_path_factory.mktemp("grown"), steps=20)
    config.pipeline.growth.enabled, config.pipeline.growth.every = True, 5
    config.pipeline.growth.gradient_threshold = 0.0
    config.pipeline.styler.train = ("features_dc", "means", "scales")
    return train(config).base_dir


@pytest.fixture(scope="module")
def rounds_run(capture, tmp_path_factory):
    return train(rounds_config(capture, tmp_path_factory.mktemp("rounds"), rounds=1, steps=2)).base_dir


@pytest.fixture(scope="module")
def grown_rounds_run(capture, tmp_path_factory):
    return train(rounds_config(capture, tmp_path_factory.mktemp("grown"), rounds=1, steps=12, mode="replace")).base_dir


@pytest.fixture(params=["style_run", "grown_run", "rounds_run", "grown_rounds_run"])
def copied(request, tmp_path):
    """A run, moved elsewhere."""
    return shutil.copytree(request.getfixturevalue(request.param), tmp_path / "moved")


def _outside(folder) -> dict:
    run, history, _ = open_run_with_history(folder)
    return outside_of_run(run, history)


def _numbers(outside: dict) -> tuple:
    return outside["gaussians_compared"], outside["gaussians_changed"], outside["largest_parameter_change"]


def _corrupt(folder) -> None:
    """Three Gaussians of the floor, in the checkpoint; a run of an object that has grown has the floor first."""
    (path,) = (folder / "nerfstudio_models").iterdir()
    state = torch.load(path, weights_only=True)
    outside = (state["pipeline"]["_model.selection"] == 0).nonzero()[:, 0]
    state["pipeline"]["_model.gauss_params.opacities"][outside[[0, 5, -1]]] += 0.5
    torch.save(state, path)


def test_a_corrupted_checkpoint_is_told_from_a_sound_one(copied):
    assert _numbers(_outside(copied)) == (FLOOR, 0, 0.0)
    _corrupt(copied)
    outside = _outside(copied)
    assert outside["gaussians_changed"] == 3
    assert outside["largest_parameter_change"] == pytest.approx(0.5, rel=1e-6)
    assert outside["files"]["checkpoint"]["parameter"] == "logit_opacities"


def test_evaluate_says_it_loudly_and_writes_it_down(style_run, tmp_path, capsys):
    folder = shutil.copytree(style_run, tmp_path / "run")
    _corrupt(folder)
    Evaluate(path=folder, max_views=1).run()
    said = " ".join(capsys.readouterr().out.split())
    assert f"SOMETHING OUTSIDE THE OBJECT CHANGED: 3 of {FLOOR} Gaussians in checkpoint" in said
    written = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    assert written["outside"]["gaussians_changed"] == 3
    assert (folder / "evaluation" / "outside.png").stat().st_size > 1000


def test_edits_of_several_objects_leave_out_what_each_of_them_touched(style_run, tmp_path):
    folder = shutil.copytree(style_run, tmp_path / "run")
    run, history, state = open_run_with_history(folder)
    painted = state.copied()
    painted.columns["features_dc"][BALL : BALL + 20] = 1.0
    history.record(Delta.between(state, painted), name="a blue corner", prompt="blue")
    save_with_history(run, history, painted)
    assert _numbers(_outside(folder)) == (FLOOR - 20, 0, 0.0)
    # Once the step is taken back, the corner is outside again.
    run, history, state = open_run_with_history(folder)
    save_with_history(run, history, history.undo(state))
    assert _numbers(_outside(folder)) == (FLOOR, 0, 0.0)


def test_what_is_selected_later_is_not_what_was_edited(style_run, tmp_path):
    folder = shutil.copytree(style_run, tmp_path / "run")
    run, history, state = open_run_with_history(folder)
    chosen = state.copied()
    chosen.columns[SELECTION][:] = 0
    chosen.columns[SELECTION][BALL : BALL + 3] = 1
    history.record(Delta.between(state, chosen), name="a corner", kind="selection")
    save_with_history(run, history, chosen)
    assert _numbers(_outside(folder)) == (FLOOR, 0, 0.0)


def test_a_run_that_goes_on_from_another_is_compared_with_that(style_run, capture, tmp_path):
    first = shutil.copytree(style_run, tmp_path / "first")
    config = style_config(capture, tmp_path, prompt="blue", steps=2)
    config.load_dir = first / "nerfstudio_models"
    second = train(config).base_dir
    assert _numbers(_outside(second)) == (FLOOR, 0, 0.0)
    # What the first run did wrong before is not the second one's doing; what is done to its file later is known.
    run, history, state = open_run_with_history(first)
    save_with_history(run, history, history.undo(state))
    outside = _outside(second)
    assert outside["gaussians_changed"] is None and "is gone" in outside["not_measured"]


def test_without_a_history_a_grown_object_is_not_guessed(style_run, grown_run, tmp_path):
    for run, known in ((style_run, True), (grown_run, False)):
        folder = shutil.copytree(run, tmp_path / run.parents[2].name)
        shutil.rmtree(folder / "history")
        (path,) = (folder / "nerfstudio_models").iterdir()
        state = torch.load(path, weights_only=True)
        state["pipeline"] = {key: value for key, value in state["pipeline"].items() if ".history_" not in key}
        torch.save(state, path)
        outside = _outside(folder)
        assert outside["gaussians_changed"] == (0 if known else None)


def test_a_beginning_that_is_gone_or_was_written_anew_is_said(capture, tmp_path):
    write_ply(tmp_path / "scene.ply", ball_on_floor())
    config = _style(capture, tmp_path)
    config.load_ply = tmp_path / "scene.ply"
    folder = train(config).base_dir
    other = ball_on_floor()
    other.means[-1] += 1
    write_ply(tmp_path / "scene.ply", other)
    os.utime(tmp_path / "scene.ply", (0, 0))
    outside = _outside(folder)
    assert outside["gaussians_changed"] is None and "written anew" in outside["not_measured"]
    (tmp_path / "scene.ply").unlink()
    outside = _outside(folder)
    assert outside["gaussians_changed"] is None and "is gone" in outside["not_measured"]
