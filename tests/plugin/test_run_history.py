"""The history of a real run: kept beside it, changed by `ft2s history`, and what nerfstudio loads follows."""

import shutil
import sys

import pytest
import torch

from fasttext2style.cli import entrypoint
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.plugin.runs.history import open_run_with_history, save_with_history
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.selection.selection import Selection
from tests.history.scenes import assert_same
from tests.plugin.hosts import BALL, make_capture, scene_config, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return train(scene_config(make_capture(folder / "capture"), folder / "outputs", steps=10)).base_dir


@pytest.fixture(scope="module")
def run_folder(trained, tmp_path_factory):
    """A run whose history the tests of this file go on with."""
    return shutil.copytree(trained, tmp_path_factory.mktemp("run") / "run")


def painted(state: SceneState, rows: torch.Tensor, value: float) -> Delta:
    before = {"features_dc": state.columns["features_dc"][rows]}
    return Delta.of_rows(state.ids[rows], before, {"features_dc": torch.full_like(before["features_dc"], value)})


def ft2s(monkeypatch, *arguments: str, command: str = "history") -> None:
    monkeypatch.setattr(sys, "argv", ["ft2s", command, *arguments])
    entrypoint()


def test_steps_of_a_run_are_listed_undone_dropped_and_blended(run_folder, monkeypatch, capsys):
    run, history, state = open_run_with_history(run_folder)
    original = state.copied()
    for name, rows, value in (("ball", torch.arange(BALL), 1.0), ("floor", torch.arange(BALL, len(state)), -1.0)):
        delta = painted(state, rows, value)
        history.record(delta, name, prompt=f"a {name} of snow", seed=3)
        state = delta.moved(state, 0.0, 1.0)
    grown = Delta.of_growth(
        state.at(torch.tensor([0, 1])),
        SceneState(state.at(torch.tensor([5, 6, 7])).columns, history.fresh_ids(state, 3)),
    )
    history.record(grown, "growth")
    state = grown.moved(state, 0.0, 1.0)
    save_with_history(run, history, state)
    assert_same(open_run_with_history(run_folder / "config.yml")[2], state)

    ft2s(monkeypatch, "list", str(run_folder))
    assert "a floor of snow" in capsys.readouterr().out
    ft2s(monkeypatch, "show", str(run_folder), "2")
    assert '"seed": 3' in capsys.readouterr().out

    ft2s(monkeypatch, "undo", str(run_folder))
    ft2s(monkeypatch, "drop", str(run_folder), "1")
    ft2s(monkeypatch, "blend", str(run_folder), "2", "0.5")
    assert "dropped" in capsys.readouterr().out
    loaded = open_run(run_folder)
    colors = original.columns["features_dc"]
    assert torch.equal(loaded.gaussians().sh_dc[:BALL], colors[:BALL])
    torch.testing.assert_close(loaded.gaussians().sh_dc[BALL:], (colors[BALL:] - 1.0) / 2)

    # Back through the blend, what was dropped, and both steps: in the order in which it was done.
    for _ in range(4):
        ft2s(monkeypatch, "undo", str(run_folder))
    assert_same(open_run_with_history(run_folder)[2], original)
    with pytest.raises(SystemExit):
        ft2s(monkeypatch, "undo", str(run_folder))
    assert "nothing to undo" in capsys.readouterr().out


def test_edits_have_numbers_and_selections_do_not_count(run_folder, tmp_path, monkeypatch, capsys):
    """Select, edit, select, edit: what is dropped as 1 and 2 are the two edits, and the list says which is which."""
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder, ignore=shutil.ignore_patterns("history"))
    run, history, state = open_run_with_history(folder)
    halves = (torch.arange(BALL), torch.arange(BALL, len(state)))
    for rows, value, name in ((halves[0], 1.0, "ball"), (halves[1], -1.0, "floor")):
        chosen = torch.zeros(len(state))
        chosen[rows] = 1.0
        selected = Delta.of_rows(state.ids, {"selection": state.columns["selection"].clone()}, {"selection": chosen})
        history.record(selected, f"the {name}", kind="selection")
        state = selected.moved(state, 0.0, 1.0)
        delta = painted(state, rows, value)
        history.record(delta, f"{name} of snow")
        state = delta.moved(state, 0.0, 1.0)
    save_with_history(run, history, state)
    ft2s(monkeypatch, "list", str(folder))
    lines = capsys.readouterr().out.splitlines()
    assert [line[:4].strip() for line in lines] == ["", "1", "", "2"]
    assert ["selection: the ball" in lines[0], "selection: the floor" in lines[2]] == [True, True]
    before = open_run(folder).gaussians().sh_dc
    ft2s(monkeypatch, "drop", str(folder), "2")
    after = open_run(folder).gaussians().sh_dc
    assert torch.equal(after[halves[0]], before[halves[0]]) and not torch.equal(after[halves[1]], before[halves[1]])
    ft2s(monkeypatch, "show", str(folder), "1")
    assert '"name": "ball of snow"' in capsys.readouterr().out
    for wrong in ("0", "3", "4"):
        with pytest.raises(SystemExit):
            ft2s(monkeypatch, "blend", str(folder), wrong, "0.5")
        assert f"no edit {wrong}" in capsys.readouterr().out


def test_the_output_before_shows_the_scene_before_the_last_edit(run_folder):
    run, history, state = open_run_with_history(run_folder)
    before = state.copied()
    grown = Delta.of_growth(
        state.at(torch.arange(BALL)), SceneState(state.at(torch.arange(9)).columns, history.fresh_ids(state, 9))
    )
    history.record(grown, "a small ball")
    save_with_history(run, history, grown.moved(state, 0.0, 1.0))
    model = open_run(run_folder).model
    earlier = model.earlier.in_place_of(dict(model.gauss_params.items()), model.earlier.columns)
    ours, theirs = (columns["means"][columns["means"][:, 0].argsort()] for columns in (earlier, before.columns))
    assert torch.equal(ours, theirs)


def test_a_step_that_was_kept_but_not_saved_is_there_when_the_run_is_opened_again(run_folder):
    _, history, state = open_run_with_history(run_folder)
    delta = painted(state, torch.arange(3), 0.125)
    history.record(delta, "killed before the checkpoint was written")
    state = delta.moved(state, 0.0, 1.0)
    assert_same(open_run_with_history(run_folder)[2], state)
    assert History.open(run_folder / "history").can_undo


def test_a_reconstruction_that_densified_has_everything_selected(run_folder):
    """Its selection buffer is of the points that it began with."""
    run, _, _ = open_run_with_history(run_folder)
    model, count = run.model, len(run.gaussians())
    state = model.state_dict() | {"selection": torch.zeros(5)}
    model.load_state_dict(state)
    assert model.selection.tolist() == [1.0] * count
    model.selection = torch.ones(5)
    model.eval()
    dataset = run.pipeline.datamanager.eval_dataset
    assert dataset is not None
    outputs = model.get_outputs_for_camera(dataset.cameras[:1])
    torch.testing.assert_close(outputs["selection"][..., :1], outputs["accumulation"])


@pytest.fixture
def ball(trained, tmp_path):
    """A run of its own without steps, and its object in a file."""
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    scene = open_run(folder).gaussians()
    weights = torch.zeros(len(scene))
    weights[:BALL] = 1
    Selection(weights, "the ball").for_scene(scene).save(tmp_path / "ball.npz")
    return folder, ("--object-file", str(tmp_path / "ball.npz"), "--encoder", "tiny", "--steps", "2")


def test_sentences_of_a_file_become_steps_one_picture_and_one_of_them_the_scene(ball, tmp_path, monkeypatch, capsys):
    folder, options = ball
    original = open_run(folder).gaussians()
    prompts = tmp_path / "wishes.txt"
    prompts.write_text("# two\nred\nblue denim\n")
    line = (str(folder), "--prompts", str(prompts), *options)
    ft2s(monkeypatch, *line, command="styles")
    assert (folder / "styles" / "wishes.png").is_file() and (folder / "styles" / "wishes.json").is_file()
    assert torch.equal(open_run(folder).gaussians().sh_dc, original.sh_dc)
    capsys.readouterr()
    ft2s(monkeypatch, *line, command="styles")
    said = capsys.readouterr().out
    assert "2 of 2 are steps of" in said and "Trying" not in said
    ft2s(monkeypatch, "blend", str(folder), "2", "1")
    after = History.open(folder / "history").delta(2).after["features_dc"]
    now = open_run(folder).gaussians()
    assert torch.equal(now.sh_dc[:BALL], after) and torch.equal(now.sh_dc[BALL:], original.sh_dc[BALL:])
    ft2s(monkeypatch, "undo", str(folder))
    assert torch.equal(open_run(folder).gaussians().sh_dc, original.sh_dc)


def test_sentences_are_refused_before_the_run_is_opened_and_so_is_a_reconstruction_without_an_object(
    ball, tmp_path, monkeypatch, capsys
):
    folder, options = ball
    prompts = tmp_path / "wishes.txt"
    prompts.write_text("red\nxylophone music\njustice\n")
    checkpoints = folder / "nerfstudio_models"
    checkpoints.rename(tmp_path / "away")
    with pytest.raises(SystemExit):
        ft2s(monkeypatch, str(folder), "--prompts", str(prompts), *options, command="styles")
    said = capsys.readouterr().out.replace("\n", " ")
    assert 'line 2, "xylophone music"; line 3, "justice"' in said
    (tmp_path / "away").rename(checkpoints)
    prompts.write_text("red\n")
    with pytest.raises(SystemExit):
        ft2s(monkeypatch, str(folder), "--prompts", str(prompts), *options[2:], command="styles")
    assert "no object was chosen yet: ft2s select" in capsys.readouterr().out.replace("\n", " ")
    for wrong in (("--seeds", "1", "1"), ("--steps", "-1"), ("--workers", "0"), ("-o", "sheet.jpg")):
        with pytest.raises(SystemExit):
            ft2s(monkeypatch, str(folder), *wrong, command="styles")
        assert "Error: " in capsys.readouterr().out
    assert not (folder / "history").exists() and not (folder / "styles").exists()
