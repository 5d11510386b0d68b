"""Method fasttext2style-ip2p on a small capture, through the real trainer and the real commands."""

import json
import shutil
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fasttext2style.commands.rounds import Backup, Export, List, Reset, Resume, Show
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.scene.files.ply import read_ply, write_ply
from fasttext2style.terminal.console import errors_in_words
from tests.plugin.hosts import BALL, ball_on_floor, train
from tests.plugin.rounds_host import rounds_capture, rounds_config, set_up
from tests.plugin.saved_files import differing_rows, of_ply, of_run
from tests.rounds.balls import sunk_ball


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module")
def red_run(capture, tmp_path_factory):
    config = rounds_config(capture, tmp_path_factory.mktemp("red"), rounds=2, steps=30)
    config.optimizers["features_dc"]["optimizer"].lr = 0.05
    return train(config).base_dir


@pytest.fixture
def copied_run(red_run, tmp_path):
    """The run, moved elsewhere: it may be changed, and must not need its old place."""
    return shutil.copytree(red_run, tmp_path / "moved")


def _color(gaussians):
    return (gaussians.sh_dc[:BALL] * 0.28209479177387814 + 0.5).mean(dim=0)


def test_the_ball_turns_red_and_outside_no_bit_changes(red_run, capture):
    """All files that the run leaves behind, beside the file that it began with."""
    loaded, saved = of_ply(capture / "scene.ply"), of_run(red_run)
    color = _color(read_ply(red_run / "results" / "styled.ply"))
    assert color[0] - color[1:].max() > 0.4
    for name, columns in saved.items():
        assert set(differing_rows(loaded, columns)) == set(range(BALL)), name
    kept = {name: tensor.flatten(1).numpy() for name, tensor in load_file(_round_0(red_run)).items() if tensor.ndim > 1}
    assert len(differing_rows(loaded, kept)) == 0
    report = json.loads((red_run / "results" / "report.json").read_text())
    outside = report["outside"]
    assert outside["gaussians_changed"] == outside["largest_parameter_change"] == 0
    assert outside["files"].keys() == {"checkpoint", "styled.ply", "round 0"}
    assert all(entry["trained"]["outside"]["psnr"] > 45 for entry in report["rounds"])
    assert all(entry["trained"]["outside"]["gaussians_changed"] == 0 for entry in report["rounds"])


def _round_0(run):
    return run / "rounds" / "round_0000" / "scene.safetensors"


def test_a_report_of_rounds_has_times_quality_and_memory_too(red_run):
    report = json.loads((red_run / "results" / "report.json").read_text())
    assert report["seconds"]["total"] >= sum(entry["seconds"]["all"] for entry in report["rounds"])
    assert report["reconstruction"]["seconds"] is None and "scene.ply" in report["reconstruction"]["not_reconstructed"]
    assert report["reconstruction"]["held_out_psnr"] > 50  # the photographs are renders of that scene
    assert report["seed"] == {"rounds": 0, "machine": 42} and report["peak_memory_gib"]["host"] > 0.1
    assert Image.open(red_run / "results" / "outside.png").height > 3 * 48


def test_a_resumed_run_is_compared_with_round_0(copied_run):
    Resume(copied_run, rounds=3).run()
    outside = json.loads((copied_run / "results" / "report.json").read_text())["outside"]
    assert outside["gaussians_changed"] == 0 and outside["loaded"]["file"] == str(_round_0(copied_run))


def test_the_run_opens_as_any_other(red_run):
    run = open_run(red_run)
    assert torch.equal(run.gaussians().sh_dc, read_ply(red_run / "results" / "styled.ply").sh_dc)
    assert run.selection.sum() == BALL
    assert run.prompt == "make it red"
    assert torch.equal(run.model.earlier.features_dc, ball_on_floor().sh_dc[:BALL])
    assert len(list((red_run / "nerfstudio_models").iterdir())) == 1


def test_results_are_complete(red_run):
    assert (red_run / "rounds" / "index.html").is_file()
    assert Image.open(red_run / "results" / "contact_sheet.png").height > 2 * 48
    assert len(list((red_run / "results" / "after").iterdir())) == len(list((red_run / "results" / "before").iterdir()))


def test_list_show_and_export(red_run, tmp_path, capsys):
    List(red_run).run()
    said = capsys.readouterr().out
    assert '"make it red", restyle' in said and len(said.splitlines()) == 5
    Show(red_run, 1).run()
    assert json.loads(capsys.readouterr().out)["editor"] == "painter"
    for number in (0, 2):
        Export(red_run, number, tmp_path / f"{number}.ply").run()
    assert torch.equal(read_ply(tmp_path / "0.ply").sh_dc, ball_on_floor().sh_dc)
    assert torch.equal(read_ply(tmp_path / "2.ply").sh_dc, read_ply(red_run / "results" / "styled.ply").sh_dc)
    Backup(red_run, tmp_path / "run.tar").run()
    assert (tmp_path / "run.tar").stat().st_size > 50_000


def test_a_moved_run_goes_on_with_more_rounds(copied_run):
    Resume(copied_run, rounds=3).run()
    rounds = RoundsFolder(copied_run / "rounds").rounds()
    assert len(rounds) == 4
    assert open_run(copied_run).config.pipeline.rounds.schedule.rounds == 3
    assert torch.equal(rounds[3].picture("before", 2), rounds[2].picture("after", 2))


def test_refining_changes_the_scene_without_an_edit(copied_run):
    before = open_run(copied_run).gaussians().sh_dc
    Resume(copied_run, refine=5).run()
    rounds = RoundsFolder(copied_run / "rounds").rounds()
    assert len(rounds) == 3 and "refined" in rounds[2].manifest["metrics"]
    assert not torch.equal(open_run(copied_run).gaussians().sh_dc, before)


def test_reset_shows_an_earlier_round_keeps_the_later_and_goes_on_alike(copied_run, capsys):
    expected = open_run(copied_run).gaussians().sh_dc
    Reset(copied_run, to=1).run()
    assert "Later rounds are kept in" in " ".join(capsys.readouterr().out.split())
    first = open_run(copied_run).gaussians().sh_dc
    assert not torch.equal(first, expected)
    assert len(list((copied_run / "rounds" / "set_aside").rglob("manifest.json"))) == 1
    Resume(copied_run).run()
    assert torch.equal(open_run(copied_run).gaussians().sh_dc, expected)
    Reset(copied_run, to=0).run()
    assert torch.equal(open_run(copied_run).gaussians().sh_dc, ball_on_floor().sh_dc)
    assert not (copied_run / "rounds" / "index.html").exists()


def test_a_complete_run_has_nothing_left_to_do(copied_run, capsys):
    Resume(copied_run).run()
    assert "All 2 rounds are done" in " ".join(capsys.readouterr().out.split())
    assert len(RoundsFolder(copied_run / "rounds").rounds()) == 3


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            lambda run, folder: Resume(run, rounds=0),
            "--rounds is how many in all, 2 or more here, got 0",
        ),
        (
            lambda run, folder: Resume(run, rounds=1),
            "--rounds is how many in all, 2 or more here, got 1",
        ),
        (lambda run, folder: Backup(run, folder / "run.zip"), "A backup is written as .tar"),
        (lambda run, folder: Backup(run, folder), "A backup is written as .tar"),
        (lambda run, folder: Export(run, 1, folder / "a.xyz"), "A round is written as .ply"),
        (lambda run, folder: Export(run, 1, folder / "folder.ply"), "is a folder: give the name of a file"),
        (lambda run, folder: Export(run, 1, run / "config.yml" / "a.ply"), "cannot be written (File exists)"),
    ],
)
def test_what_makes_no_sense_is_said_and_changes_nothing(copied_run, tmp_path_factory, capsys, command, message):
    """Once the number of rounds was written into config.yml before it was looked at."""
    folder = tmp_path_factory.mktemp("out")
    (folder / "folder.ply").mkdir()
    before = {path: path.read_bytes() for path in copied_run.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as end, errors_in_words():
        command(copied_run, folder).run()
    assert end.value.code == 1
    assert message in " ".join(capsys.readouterr().out.split())
    assert {path: path.read_bytes() for path in copied_run.rglob("*") if path.is_file()} == before
    assert [path.name for path in folder.iterdir()] == ["folder.ply"]


@pytest.mark.parametrize("inside", ["config.yml", "nerfstudio_models"])
def test_a_run_of_rounds_may_be_named_by_what_lies_in_it(red_run, capsys, inside):
    List(red_run / inside).run()
    assert '"make it red", restyle' in capsys.readouterr().out


def test_an_objects_growth_stays_inside_it_and_under_its_cap(capture, tmp_path):
    config = rounds_config(capture, tmp_path, rounds=2, steps=12, mode="replace")
    config.pipeline.growth.max_factor = 1.2
    folder = train(config).base_dir
    rest = {name: column[BALL:] for name, column in of_ply(capture / "scene.ply").items()}
    for name, saved in of_run(folder).items():
        assert 300 < len(saved["means"]) <= 300 + 0.2 * BALL
        first = {key: column[: len(rest["means"])] for key, column in saved.items()}
        assert len(differing_rows(rest, first)) == 0, name
    report = json.loads((folder / "results" / "report.json").read_text())
    assert report["outside"]["gaussians_changed"] == 0


@pytest.mark.parametrize("mode", ["restyle", "replace"])
def test_a_text_loss_beside_the_pictures_draws_the_object_towards_its_words(capture, tmp_path, mode):
    """The editor gives the grey pictures back as they are: what turns the ball red is the sentence."""
    config = rounds_config(capture, tmp_path, rounds=1, steps=12, mode=mode)
    config.pipeline.editor = "tests.rounds.editors:Idle"
    config.pipeline.encoder = "tiny"
    config.pipeline.styler.train = ("features_dc", "means")
    config.pipeline.rounds.losses.text_weight = 1.0
    config.pipeline.rounds.losses.photometric_weight = 0.1
    config.optimizers["features_dc"]["optimizer"].lr = 0.05
    pipeline = train(config).pipeline
    color = pipeline.edit.gaussians(()).sh_dc.mean(dim=0)
    assert color[0] - color[1:].mean() > 0.1, color
    assert (len(pipeline.edit) > BALL) == (mode == "replace")


@pytest.mark.parametrize("mode, share", [("restyle", 0.1), ("replace", 1.0), ("remove", 1.0)])
def test_a_modes_rate_is_that_of_form_and_not_of_colour(capture, tmp_path, mode, share):
    """instruct-gs holds places and sizes when it restyles: here they learn at a tenth of the rates that were set."""
    config = rounds_config(capture, tmp_path, mode=mode)
    if mode == "remove":
        config.pipeline.editor = "tests.rounds.editors:Eraser"
        write_ply(tmp_path / "sunk.ply", sunk_ball())
        config.load_ply = tmp_path / "sunk.ply"
    asked = {name: entry["optimizer"].lr for name, entry in config.optimizers.items()}
    rates = {name: it.param_groups[0]["lr"] for name, it in set_up(config).optimizers.optimizers.items()}
    for name, rate in asked.items():
        assert rates[name] == pytest.approx(rate * (1.0 if name.startswith("features") else share)), name


@pytest.mark.parametrize(
    "break_it, message",
    [
        (lambda c: setattr(c.pipeline.model, "prompt", "  "), "No instruction was given"),
        (lambda c: setattr(c.pipeline, "editor", "./no/such/folder"), "no/such/folder"),
        (lambda c: setattr(c.pipeline, "editor", "tests.rounds.editors:Sculptor"), "Sculptor"),
        (lambda c: setattr(c.pipeline.rounds.schedule, "rounds", 0), "at least 1 round"),
        (lambda c: setattr(c.pipeline.rounds.edit, "strength", (0.9, 0.2)), "strength"),
        (lambda c: setattr(c, "refine", 5), "no round to refine"),
        (lambda c: setattr(c, "live", True), "live"),
    ],
    ids=["no prompt", "no editor", "no such class", "no rounds", "strength", "nothing to refine", "live"],
)
def test_bad_input_gives_one_error_and_a_failing_exit_code(capture, tmp_path, capsys, break_it, message):
    config = deepcopy(rounds_config(capture, tmp_path))
    break_it(config)
    with pytest.raises(SystemExit) as end:
        train(config)
    assert end.value.code == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "Error:" in said and message in said


@pytest.mark.parametrize("command", [lambda p: List(p), lambda p: Resume(p), lambda p: Reset(p, to=1)])
def test_commands_on_something_else_say_what_they_expect(command, tmp_path, capsys):
    with pytest.raises(SystemExit) as end, errors_in_words():
        command(tmp_path).run()
    assert end.value.code == 1
    assert "run of fasttext2style-ip2p" in " ".join(capsys.readouterr().out.split())


def test_weights_of_a_round_serve_as_an_object_file(red_run, capture, tmp_path):
    weights = np.load(red_run / "rounds" / "round_0002" / "weights.npy")
    assert weights.shape == (300,) and weights[:BALL].all() and not weights[BALL:].any()


@pytest.mark.parametrize("left", ["no report", "half a report", "a report of fewer rounds", "no results"])
def test_a_run_killed_before_its_results_were_whole_writes_them_when_it_is_resumed(copied_run, capsys, left):
    results = copied_run / "results"
    report = results / "report.json"
    whole = json.loads(report.read_text())
    if left == "no results":
        shutil.rmtree(results)
    elif left == "no report":
        report.unlink()
    elif left == "half a report":
        report.write_text(report.read_text()[:200])
    else:
        report.write_text(json.dumps(whole | {"rounds": whole["rounds"][:1]}))
    before = {name: column.tobytes() for name, column in of_ply(_styled(copied_run)).items()} if report.exists() else {}
    Resume(copied_run).run()
    assert "rounds are done" not in capsys.readouterr().out
    written = json.loads(report.read_text())
    assert written["rounds"] == whole["rounds"] and written["outside"]["gaussians_changed"] == 0
    after = {name: column.tobytes() for name, column in of_ply(_styled(copied_run)).items()}
    assert not before or after == before
    Resume(copied_run).run()
    assert "All 2 rounds are done" in capsys.readouterr().out


def _styled(run_folder):
    return run_folder / "results" / "styled.ply"
