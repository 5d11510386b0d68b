"""ft2s evaluate on real runs: what they began with is found, and the numbers land in the run's folder."""

import json
import shutil
from copy import deepcopy

import numpy as np
import pytest
import torch

from fasttext2style.commands.evaluate import Evaluate
from fasttext2style.evaluation.settings import EvaluationSettings
from fasttext2style.history.delta import Delta
from fasttext2style.plugin.rounds.method import fasttext2style_ip2p
from fasttext2style.plugin.runs.evaluate import evaluate_run, last_targets, optimised_encoder
from fasttext2style.plugin.runs.history import open_run_with_history, save_with_history
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.snapshot import save_tensors
from fasttext2style.scene.files.ply import write_ply
from fasttext2style.terminal.console import errors_in_words
from tests.plugin.hosts import BALL, ball_on_floor, make_capture, style_config, train

FROM_GREY = EvaluationSettings(source_caption="a grey ball")
BY_ONE = EvaluationSettings(source_caption="a grey ball", encoders=("tiny",))
"""Without a second judge, which takes longer than all the rest."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = make_capture(tmp_path_factory.mktemp("capture"))
    write_ply(folder / "scene.ply", ball_on_floor())
    np.save(folder / "ball.npy", (np.arange(len(ball_on_floor())) < BALL).astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def red_run(capture, tmp_path_factory):
    """Folder of a run that painted the ball red, starting from a .ply."""
    config = style_config(capture, tmp_path_factory.mktemp("red"), prompt="red", steps=30)
    config.load_ply = capture / "scene.ply"
    config.pipeline.object.file = capture / "ball.npy"
    config.optimizers["features_dc"]["optimizer"].lr = 0.05
    return train(config).config.get_base_dir()


def test_a_run_from_a_ply_is_measured_against_it(red_run, capsys):
    report = evaluate_run(red_run, FROM_GREY)
    said = json.loads((red_run / "results" / "report.json").read_text())["similarity"]
    assert report["similarity_of_run"] == said, "a different number, of which both are told, and why they differ"
    assert said["after"] != report["text"]["tiny"]["similarity_after"]
    printed = " ".join(capsys.readouterr().out.split())
    assert f"{said['after']:.4f}" in printed and "there the object alone in the training views" in printed
    assert report["optimised_encoder"] == "tiny"
    assert report["text"]["tiny"]["similarity_after"] > report["text"]["tiny"]["similarity_before"]
    assert report["outside"]["gaussians_changed"] == 0
    assert report["outside"]["largest_parameter_change"] == 0.0
    assert report["outside"]["gaussians_compared"] == len(ball_on_floor()) - BALL
    assert report["gaussians"]["object_after"] == BALL
    assert report["seconds"]["styling"] > 0
    assert "to_targets" not in report["inside"]
    written = json.loads((red_run / "evaluation" / "evaluation.json").read_text())
    assert written["inside"] == report["inside"]
    assert "direction consistency" in (red_run / "evaluation" / "evaluation.md").read_text()
    assert (red_run / "evaluation" / "evaluation.png").stat().st_size > 1000


def test_a_run_that_reconstructed_first_is_measured_against_that(capture, tmp_path):
    config = style_config(capture, tmp_path / "runs", prompt="red", steps=3)
    config.pipeline.object.by = "sphere"
    config.pipeline.object.radius = 0.45
    folder = train(config).config.get_base_dir()
    # Both runs may be moved together.
    moved = tmp_path / "elsewhere" / "test"
    shutil.move(folder.parents[1], moved)
    report = evaluate_run(moved / "fasttext2style" / folder.name, BY_ONE)
    assert report["outside"]["gaussians_changed"] == 0
    assert report["inside"]["to_before"]["psnr"] < 60


@pytest.fixture
def run_without_history(red_run, tmp_path):
    """A copy of the red run as earlier versions left runs behind."""
    folder = tmp_path / red_run.name
    shutil.copytree(red_run, folder)
    shutil.rmtree(folder / "history")
    for path in (folder / "nerfstudio_models").iterdir():
        state = torch.load(path, weights_only=True)
        state["pipeline"] = {key: value for key, value in state["pipeline"].items() if ".history_" not in key}
        torch.save(state, path)
    return folder


def test_a_run_without_a_history_is_measured_against_its_ply(red_run, run_without_history):
    report, with_history = evaluate_run(run_without_history, BY_ONE), evaluate_run(red_run, BY_ONE)
    assert report["inside"] == with_history["inside"]
    assert report["outside"] == with_history["outside"]


def test_a_run_whose_beginning_is_gone_asks_for_it(run_without_history, capture, capsys):
    config = run_without_history / "config.yml"
    config.write_text(config.read_text().replace("scene.ply", "gone.ply"))
    with pytest.raises(SystemExit), errors_in_words():
        Evaluate(path=run_without_history).run()
    assert "--before" in capsys.readouterr().out
    settings = EvaluationSettings(before=capture / "scene.ply", split="train", max_views=2, encoders=("tiny",))
    assert evaluate_run(run_without_history, settings)["views"]["count"] == 2


def test_what_was_put_around_the_scene_since_is_not_what_is_measured(red_run, tmp_path):
    folder = tmp_path / red_run.name
    shutil.copytree(red_run, folder)
    run, history, state = open_run_with_history(folder)
    history.record(Delta.of_environment(torch.ones(4, 8, 3)), "surroundings: sky.hdr")
    save_with_history(run, history, state)
    report, before = evaluate_run(folder, BY_ONE), evaluate_run(red_run, BY_ONE)
    assert report["prompt"] == before["prompt"] == "red"
    assert report["inside"] == before["inside"]


def test_the_last_edit_of_a_history_is_what_is_measured(red_run, tmp_path):
    folder = tmp_path / red_run.name
    shutil.copytree(red_run, folder)
    run, history, state = open_run_with_history(folder)
    painted = state.copied()
    painted.columns["features_dc"][:BALL] = torch.tensor([-1.0, -1.0, 1.0])
    history.record(Delta.between(state, painted), name="blue", prompt="blue ball")
    save_with_history(run, history, painted)
    report = evaluate_run(folder, BY_ONE)
    assert report["prompt"] == report["captions"]["after"] == "blue ball"
    first = evaluate_run(red_run, BY_ONE)
    # Before is the red ball now, not the grey one.
    assert report["footprint_deviation"]["before"] == pytest.approx(first["footprint_deviation"]["after"], rel=1e-3)
    assert "similarity_of_run" not in report, "that was another sentence's"


def test_the_encoder_of_a_text_loss_of_rounds_counts_as_optimised():
    pipeline = deepcopy(fasttext2style_ip2p.config.pipeline)
    assert optimised_encoder(pipeline) is None
    pipeline.encoder, pipeline.rounds.losses.text_weight = "tiny", 0.1
    assert optimised_encoder(pipeline) == "tiny"


def test_rounds_are_measured_against_their_last_targets(red_run, tmp_path):
    folder = tmp_path / red_run.name
    shutil.copytree(red_run, folder)
    run, rounds = open_run(folder), RoundsFolder(folder / "rounds")
    start = ball_on_floor().to_splatfacto() | {"weights": run.selection}
    save_tensors(rounds.begin(0) / "scene.safetensors", start)
    rounds.finish(0, {"snapshot": "scene.safetensors", "scene": "x"})
    for number, shade in ((1, 10), (2, 200), (3, 90)):
        rounds.begin(number)
        for view in (1, 4):
            rounds.write_picture(number, "edited", view, torch.full((48, 48, 3), shade, dtype=torch.uint8))
        if number < 3:  # round 3 was interrupted
            save_tensors(rounds.folder(number) / "snapshot.safetensors", {"grown": torch.tensor(False)})
            facts = {"scene": "x", "snapshot": "snapshot.safetensors", "seconds": {"all": 1.5}}
            rounds.finish(number, facts | {"peak_memory_gib": 2.0 / number})
    targets = last_targets(run)
    assert targets is not None
    assert torch.equal(targets.images, torch.full((2, 48, 48, 3), 200 / 255))
    assert torch.equal(targets.cameras.viewmats, run.cameras("train")[[1, 4]].viewmats)
    report = evaluate_run(folder, BY_ONE)
    assert report["footprint_deviation"]["targets"] == pytest.approx(0, abs=1e-4)
    assert 0 < report["inside"]["to_targets"]["psnr"] < 30
    assert report["seconds"]["rounds, all"] == 3.0
    assert report["peak_memory_gib"]["rounds"] == 2.0
