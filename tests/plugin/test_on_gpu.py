"""Whole runs on a GPU, a real one (`pytest -m gpu`) or the pretended one (`make pretend-cuda`).

What is outside the object keeps every bit, there too, and so does what is undone. What trains is not the same to the
bit in two runs on a GPU, for gsplat adds up gradients in whatever order its threads come.
"""

from __future__ import annotations

import json

# Resuming asks for it: here, where tests are collected, it takes a tenth of the time (`tests.quick_imports`).
import nerfstudio.scripts.train  # noqa: F401
import numpy as np
import pytest
import torch

from fasttext2style.commands.rounds import Resume
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.scene.files.ply import read_ply
from fasttext2style.selection.algebra import grow, largest_component, shrink
from fasttext2style.selection.selection import Selection
from tests.plugin.hosts import BALL, ball_on_floor, style_config, train
from tests.plugin.rounds_host import rounds_capture, rounds_config
from tests.plugin.saved_files import differing_rows, of_ply, of_run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

NEARLY = 0.02
"""Largest difference of a colour's coefficient between two runs of a few steps that are alike but for the order of
sums: a twentieth of what these steps change."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module")
def rounds_run(capture, tmp_path_factory):
    config = rounds_config(capture, tmp_path_factory.mktemp("rounds"), rounds=2, steps=3)
    config.optimizers["features_dc"]["optimizer"].lr = 0.05
    return train(config).base_dir


def _outside_is_untouched(run, capture) -> None:
    loaded = of_ply(capture / "scene.ply")
    for name, columns in of_run(run).items():
        assert set(differing_rows(loaded, columns)) == set(range(BALL)), name
    report = json.loads((run / "results" / "report.json").read_text())
    assert report["device"].startswith("cuda")
    assert report["outside"]["gaussians_changed"] == report["outside"]["largest_parameter_change"] == 0


@pytest.mark.parametrize("grows", [False, True])
def test_a_sentence_changes_the_object_alone(capture, tmp_path, grows):
    config = style_config(capture, tmp_path, prompt="red", steps=6)
    config.load_ply, config.pipeline.object.file = capture / "scene.ply", capture / "ball.npy"
    if grows:
        config.pipeline.styler.train = ("features_dc", "means", "scales")
        config.pipeline.growth.enabled, config.pipeline.growth.every = True, 2
        config.pipeline.growth.gradient_threshold = 0.0
    run = train(config).base_dir
    if not grows:
        _outside_is_untouched(run, capture)
        return
    after, before = read_ply(run / "results" / "styled.ply"), ball_on_floor()
    assert len(after) > len(before)
    assert torch.equal(after.sh_dc[: len(before) - BALL], before.sh_dc[BALL:])
    assert torch.equal(after.means[: len(before) - BALL], before.means[BALL:])


def test_rounds_change_the_object_alone(rounds_run, capture):
    _outside_is_untouched(rounds_run, capture)


def test_rounds_that_go_on_keep_what_is_outside_and_end_nearly_where_others_do(rounds_run, capture, tmp_path):
    """Of three rounds at once, and two and one more."""
    config = rounds_config(capture, tmp_path, rounds=3, steps=3)
    config.optimizers["features_dc"]["optimizer"].lr = 0.05
    whole = train(config).base_dir
    Resume(rounds_run, rounds=3).run()
    resumed, at_once = (read_ply(run / "results" / "styled.ply") for run in (rounds_run, whole))
    _outside_is_untouched(rounds_run, capture)
    assert float((resumed.sh_dc - at_once.sh_dc).abs().max()) < NEARLY
    assert float((resumed.sh_dc - ball_on_floor().sh_dc).abs().max()) > 10 * NEARLY


def test_a_run_of_a_gpu_opens_again(rounds_run):
    run = open_run(rounds_run)
    assert run.selection.sum() == BALL
    assert run.gaussians().device.type == "cuda"


def test_an_edit_is_undone_to_the_bit(tmp_path):
    scene = ball_on_floor().to("cuda")
    state = SceneState.from_gaussians(scene, torch.ones(len(scene), device="cuda")).copied()
    before = {name: column.clone() for name, column in state.columns.items()}
    rows = torch.arange(BALL, device="cuda")
    changed = {"features_dc": torch.rand(BALL, 3, device="cuda"), "opacities": torch.rand(BALL, 1, device="cuda")}
    delta = Delta.of_rows(rows, {name: before[name][:BALL] for name in changed}, changed)
    history = History.open(tmp_path / "history")
    history.record(delta, "an edit", kind="edit")
    for name, column in changed.items():
        state.columns[name][:BALL] = column
    undone = history.undo(state)
    for name, column in before.items():
        assert torch.equal(undone.columns[name], column), name


def test_selections_from_the_cpu_work_on_a_scene_of_the_gpu():
    """They are read from files."""
    scene, weights = ball_on_floor().to("cuda"), torch.zeros(len(ball_on_floor()))
    weights[:BALL] = 1
    weights[-1] = 1  # far from the ball
    selection = Selection(weights, "from a file")
    kept = largest_component(scene, selection)
    assert kept.count == BALL and not kept.mask[-1]
    assert grow(scene, selection, 0.05).count >= selection.count >= shrink(scene, selection, 0.05).count


def test_a_batch_that_does_not_fit_is_halved_and_training_goes_on(capture, tmp_path, monkeypatch, caplog):
    """A text loss that asks for a terabyte as long as it sees more than two views: torch's own error, in mid-step."""
    config = style_config(capture, tmp_path, prompt="red", steps=3)
    config.load_ply, config.pipeline.object.file = capture / "scene.ply", capture / "ball.npy"
    config.pipeline.styler.objective.loss = "tests.plugin.hungry_loss:hungry"
    config.pipeline.styler.objective.patches_per_view = 0
    run = train(config)
    assert "going on with" in caplog.text
    assert run.pipeline.styler.sampler.batch == 2
    colors = read_ply(run.base_dir / "results" / "styled.ply").sh_dc
    assert not np.array_equal(colors[:BALL].numpy(), ball_on_floor().sh_dc[:BALL].numpy())
