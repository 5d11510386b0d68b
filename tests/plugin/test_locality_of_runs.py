"""Whatever in a run touches Gaussians outside the object, and whichever file it reaches: it is measured and said."""

import json
from copy import deepcopy

import pytest
import torch

from fasttext2style.evaluation import looks
from fasttext2style.plugin.scene import trainer as scene_trainer
from fasttext2style.scene.files.ply import read_ply, write_ply
from tests.plugin.hosts import BALL, ball_on_floor, style_config, train
from tests.plugin.rounds_host import rounds_capture, rounds_config

TOUCHED = [BALL, BALL + 7, 299]
"""Gaussians of the floor."""
AMOUNT = 0.25
ENTRY = "_model.gauss_params.means"


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module", params=["style", "rounds"])
def run(request, capture, tmp_path_factory):
    """A trainer whose run is done."""
    if request.param == "rounds":
        return train(rounds_config(capture, tmp_path_factory.mktemp("rounds"), rounds=1, steps=2))
    config = style_config(capture, tmp_path_factory.mktemp("style"), prompt="red", steps=2)
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    return train(config)


@pytest.fixture
def saved_again(run, capsys):
    """Writes a run's last step and its results once more; what it says and its report. The scene is put back later."""
    kept = deepcopy(run.pipeline.model.gauss_params.state_dict())

    def save() -> tuple[str, dict]:
        run.pipeline.write_back()
        run.save_checkpoint(run.step)
        run.pipeline._write_results(run)
        report = json.loads((run.base_dir / "results" / "report.json").read_text())
        return " ".join(capsys.readouterr().out.split()), report["outside"]

    yield save
    for name, parameter in run.pipeline.model.gauss_params.items():
        parameter.data.copy_(kept[name])


def _moved(means: torch.Tensor) -> torch.Tensor:
    means = means.clone()
    means[TOUCHED, 1] += AMOUNT
    return means


def _write_back_touches_the_rest(run, monkeypatch):
    original = type(run.pipeline).write_back

    def write_back(pipeline):
        original(pipeline)
        pipeline.model.gauss_params["means"].data = _moved(pipeline.model.gauss_params["means"].data)

    monkeypatch.setattr(type(run.pipeline), "write_back", write_back)


def _checkpoint_is_written_wrongly(run, monkeypatch):
    original = scene_trainer.write_checkpoint

    def write_checkpoint(path, state):
        original(path, state | {"pipeline": state["pipeline"] | {ENTRY: _moved(state["pipeline"][ENTRY])}})

    monkeypatch.setattr(scene_trainer, "write_checkpoint", write_checkpoint)


def _ply_is_written_wrongly(run, monkeypatch):
    def write(path, gaussians):
        scene = gaussians.copy()
        scene.means[TOUCHED, 1] += AMOUNT
        write_ply(path, scene)

    monkeypatch.setattr(looks, "write_ply", write)


def test_a_run_that_keeps_to_its_object_says_so(saved_again):
    said, outside = saved_again()
    assert outside["gaussians_changed"] == outside["largest_parameter_change"] == 0
    assert "Outside the object no bit of 150 Gaussians changed" in said


@pytest.mark.parametrize(
    "corruption, files",
    [
        (_write_back_touches_the_rest, {"checkpoint", "styled.ply"}),
        (_checkpoint_is_written_wrongly, {"checkpoint"}),
        (_ply_is_written_wrongly, {"styled.ply"}),
    ],
)
def test_what_changes_outside_is_measured_in_its_file_and_said_loudly(run, saved_again, monkeypatch, corruption, files):
    corruption(run, monkeypatch)
    said, outside = saved_again()
    assert outside["gaussians_changed"] == 3
    assert outside["largest_parameter_change"] == pytest.approx(AMOUNT, rel=1e-5)
    assert {name for name, drift in outside["files"].items() if drift["changed"]} == files
    assert "SOMETHING OUTSIDE THE OBJECT CHANGED: 3 of 150 Gaussians" in said and "by up to 0.25 (means)" in said


def test_a_scene_that_is_loaded_wrongly_is_noticed(capture, tmp_path, monkeypatch):
    """What was loaded is the file, not what the program made of it."""

    def read(path):
        scene = read_ply(path)
        scene.means[TOUCHED, 1] += AMOUNT
        return scene

    monkeypatch.setattr("fasttext2style.plugin.host.pipelines.read_ply", read)
    config = style_config(capture, tmp_path, prompt="red", steps=1)
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    report = json.loads((train(config).base_dir / "results" / "report.json").read_text())
    assert report["outside"]["gaussians_changed"] == 3


def test_a_scene_whose_file_is_gone_is_not_called_unchanged(capture, tmp_path, capsys):
    write_ply(tmp_path / "scene.ply", ball_on_floor())
    config = style_config(capture, tmp_path, prompt="red", steps=1)
    config.load_ply = tmp_path / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    (tmp_path / "scene.ply").unlink()
    trainer.train()
    outside = json.loads((trainer.base_dir / "results" / "report.json").read_text())["outside"]
    assert outside["gaussians_changed"] is None and "is gone" in outside["not_measured"]
    said = " ".join(capsys.readouterr().out.split())
    assert "could not be measured" in said and "no bit" not in said
