"""--environment of both methods: a first step of the history, seen in the results, and nothing is trained on it."""

import io
import json
import shutil
import sys
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.cli import entrypoint
from fasttext2style.commands.rounds import Resume
from fasttext2style.envmaps.around import environment_of
from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.evaluation.settings import EvaluationSettings
from fasttext2style.history.history import History
from fasttext2style.plugin.runs.evaluate import evaluate_run
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.plugin.runs.run import open_run
from tests.plugin.hosts import style_config, train
from tests.plugin.rounds_host import rounds_capture, rounds_config

PINK = torch.tensor([0.9, 0.1, 0.5])
"""As light; on a screen 243, 89, 188."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module")
def pink(tmp_path_factory):
    path = tmp_path_factory.mktemp("panorama") / "pink.exr"
    write_panorama(path, PINK.expand(8, 16, 3).contiguous())
    return path


def _styled(capture, output, environment=None):
    config = style_config(capture, output, prompt="red", steps=3)
    config.load_ply, config.pipeline.object.file = capture / "scene.ply", capture / "ball.npy"
    config.environment = environment
    said = io.StringIO()
    with redirect_stdout(said):
        trainer = train(config)
    trainer.said = " ".join(said.getvalue().split())
    return trainer


@pytest.fixture(scope="module")
def run(capture, pink, tmp_path_factory):
    return _styled(capture, tmp_path_factory.mktemp("pink"), pink)


def _steps(folder):
    return [step.name for step in History.open(folder / "history").steps if step.kind == "edit"]


def _pink_corner(path) -> bool:
    """The upper corners of a picture lie beyond the floor."""
    picture = np.asarray(Image.open(path)).astype(int)
    return bool(np.abs(picture[1, [1, -2]] - [243, 89, 188]).max() < 40)


SEEN = "Around the scene: pink.exr. It is seen where the scene leaves something free."


def test_it_is_the_first_step_and_stays_around_the_saved_scene(run):
    assert run.said.count(SEEN) == 1
    folder = run.base_dir
    assert _steps(folder) == ["surroundings: pink.exr", "red"]
    model = open_run(folder).model
    assert model.environment is not None and model.environment.shape == (8, 16, 3)
    history, state = open_run_with_history(folder)[1:]
    history.undo(state)
    assert [step.active for step in history.steps if step.kind == "edit"] == [True, False]


def test_results_show_it_and_name_it(run):
    results = run.base_dir / "results"
    for name in ("before/view_00.png", "after/view_00.png"):
        assert _pink_corner(results / name), name
    report = json.loads((results / "report.json").read_text())
    assert report["surroundings"]["step"] == "surroundings: pink.exr" and report["surroundings"]["yaw"] == 0
    beside = read_panorama(results / "styled_surroundings.hdr")
    torch.testing.assert_close(beside, PINK.expand(8, 16, 3), rtol=0.01, atol=0.005)


def test_nothing_is_trained_or_measured_on_it(run, capture, tmp_path):
    plain = _styled(capture, tmp_path)
    one, other = (trainer.pipeline.model.gaussians().to_splatfacto() for trainer in (run, plain))
    assert all(torch.equal(one[name], other[name]) for name in one)
    reports = [json.loads((it.base_dir / "results" / "report.json").read_text()) for it in (run, plain)]
    for part in ("reconstruction", "similarity"):
        assert reports[0][part] == reports[1][part]
    assert reports[0]["outside"]["gaussians_changed"] == 0 and "surroundings" not in reports[1]
    assert not _pink_corner(plain.base_dir / "results" / "after" / "view_00.png")
    assert not (plain.base_dir / "results" / "styled_surroundings.hdr").exists()


def test_an_evaluation_shows_it_and_measures_without(run, capsys):
    report = evaluate_run(run.base_dir, EvaluationSettings(source_caption="a grey ball", max_views=1))
    assert report["surroundings"]["step"] == "surroundings: pink.exr"
    sheet = np.asarray(Image.open(run.base_dir / "evaluation" / "evaluation.png")).astype(int)
    assert np.abs(sheet[28, 2] - [243, 89, 188]).max() < 40, "the corner of the first picture, below its label"
    assert report["outside"]["largest_pixel_change"] == 0 and report["outside"]["gaussians_changed"] == 0
    assert "nothing is measured on it" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("what", ["object", "scene"])
def test_what_new_light_tints_is_one_step_with_it(run, tmp_path, monkeypatch, what):
    """Of an object nothing beside it changes; undo brings every bit back."""
    copy = shutil.copytree(run.base_dir, tmp_path / "run")
    _, history, state = open_run_with_history(copy)
    edits, selected = len(history.applied), state.selection > 0
    monkeypatch.setattr(sys, "argv", ["ft2s", "envmap", "set", str(copy), "--sky", "sunset", "--harmonise", what])
    entrypoint()
    _, history, tinted = open_run_with_history(copy)
    changed = (tinted.columns["features_dc"] != state.columns["features_dc"]).any(dim=1)
    assert 0 < selected.sum() < len(selected)
    assert torch.equal(changed, selected) if what == "object" else bool(changed.all())
    assert all(torch.equal(tinted.columns[name], state.columns[name]) for name in ("means", "opacities", "selection"))
    assert len(history.applied) == edits + 1 and history.steps[-1].name == "surroundings: sunset"
    monkeypatch.setattr(sys, "argv", ["ft2s", "history", "undo", str(copy)])
    entrypoint()
    undone = open_run_with_history(copy)[2]
    assert all(torch.equal(undone.columns[name], values) for name, values in state.columns.items())


def test_what_is_around_a_run_is_edited_by_an_image_editor_as_a_step(run, tmp_path, monkeypatch):
    """Pink becomes blue: that is seen in what is saved, said in the step, and taken back to the bit."""
    copy = shutil.copytree(run.base_dir, tmp_path / "run")

    def ft2s(*arguments):
        monkeypatch.setattr(sys, "argv", ["ft2s", *map(str, arguments)])
        entrypoint()
        history = open_run_with_history(copy)[1]
        return history.steps[-1], environment_of(history, torch.zeros(3))

    (_, before), by = ft2s("history", "list", copy), ("--by", "editor", "--editor", "tiny", "--passes", 1)
    step, after = ft2s("envmap", "edit", copy, *by, "--denoising", 4, "--prompt", "make it blue")
    share = [float(it[..., 2].sum() / it.sum()) for it in (before, after)]
    assert share[0] == pytest.approx(1 / 3, abs=0.01) and share[1] > 0.5
    assert step.prompt == "make it blue" and step.settings["environment"]["editor"] == "tiny"
    assert step.settings["passes"] == 1 and step.gaussians_changed == 0
    assert torch.equal(ft2s("history", "undo", copy)[1], before)


def test_rounds_keep_what_was_around_the_run_that_they_start_from(run, capture, tmp_path):
    config = rounds_config(capture, tmp_path, rounds=1, steps=2)
    config.load_ply, config.load_dir = None, run.checkpoint_dir
    folder = train(config).base_dir
    assert _steps(folder) == ["surroundings: as in the run it started from"]
    opened, history, state = open_run_with_history(folder)
    torch.testing.assert_close(opened.model.environment, PINK.expand(8, 16, 3))
    assert len(history.undo(state)) == len(state)


def test_rounds_go_on_in_their_surroundings_without_the_file(capture, pink, tmp_path, capsys):
    file = shutil.copy(pink, tmp_path / "sky.exr")
    config = rounds_config(capture, tmp_path / "runs", rounds=1, steps=2)
    config.environment = file
    folder = train(config).base_dir
    assert SEEN.replace("pink", "sky") in " ".join(capsys.readouterr().out.split())
    file.unlink()
    assert _pink_corner(folder / "results" / "after" / "view_00.png")
    Resume(folder, rounds=2).run()
    assert _steps(folder) == ["surroundings: sky.exr"], "not once more"
    torch.testing.assert_close(open_run(folder).model.environment, PINK.expand(8, 16, 3))


@pytest.mark.parametrize("method", [style_config, rounds_config])
@pytest.mark.parametrize(("name", "said"), [("none.hdr", "No such file"), ("dark.exr", "row 1, column 2")])
def test_what_is_no_panorama_is_refused_before_anything_is_written(capture, tmp_path, capsys, method, name, said):
    import OpenEXR

    values = np.full((4, 8, 3), 0.5, np.float32)
    values[1, 2] = -1
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": values}).write(str(tmp_path / "dark.exr"))
    config = method(capture, tmp_path / "runs")
    config.load_ply, config.environment = capture / "scene.ply", tmp_path / name
    with pytest.raises(SystemExit):
        config.save_config()
    assert said in " ".join(capsys.readouterr().out.split())
    assert not list((tmp_path / "runs").rglob("*"))
