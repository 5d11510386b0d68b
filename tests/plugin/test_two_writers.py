"""Runs that are started or changed at the same time: folders of their own, one writer each, said in words."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fasttext2style.cli import entrypoint
from fasttext2style.envmaps.files import write_panorama
from fasttext2style.history.history import History
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.files.atomic import temporary_beside
from tests.full_disk import left_by_a_killed_writer
from tests.history.test_accidents import files, full_disk
from tests.history.test_two_writers import HOLDER
from tests.plugin.hosts import make_capture, scene_config, train
from tests.plugin.test_run_history import painted

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch):
    """For another writer, who will not end."""
    monkeypatch.setattr("fasttext2style.trust.lock.WAIT_SECONDS", 0.05)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return make_capture(tmp_path_factory.mktemp("capture") / "capture")


@pytest.fixture(scope="module")
def run_folder(capture, tmp_path_factory):
    folder = train(scene_config(capture, tmp_path_factory.mktemp("run"), steps=10)).base_dir
    _, history, state = open_run_with_history(folder)
    for value in (1.0, 2.0):
        delta = painted(state, state.ids[:5], value)
        history.record(delta, f"step {value}")
        state = delta.moved(state, 0.0, 1.0)
    return folder


def ft2s(monkeypatch, *words) -> int:
    monkeypatch.setattr(sys, "argv", ["ft2s", *map(str, words)])
    try:
        entrypoint()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_two_runs_of_the_same_second_have_folders_of_their_own(capture, tmp_path):
    configs = [scene_config(capture, tmp_path, steps=10) for _ in range(3)]
    for config in configs:
        config.timestamp = "{timestamp}"
    for config in configs:
        config.set_timestamp()
        config.timestamp = configs[0].timestamp
        config.save_config()
    folders = [config.get_base_dir() for config in configs]
    assert [folder.name for folder in folders] == [folders[0].name + end for end in ("", "_2", "_3")]
    for folder in folders:
        assert f"timestamp: {folder.name}\n" in (folder / "config.yml").read_text().replace("'", "")


def test_a_run_that_another_program_writes_is_not_started_undone_or_selected_in(
    run_folder, capture, tmp_path, monkeypatch, capsys
):
    before = files(run_folder)
    write_panorama(tmp_path / "sky.exr", torch.ones(1, 2, 3))
    command = [sys.executable, "-c", HOLDER, str(run_folder), "the", "other"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        lines = (
            ("history", "undo", run_folder),
            ("history", "redo", run_folder),
            ("history", "drop", run_folder, "1"),
            ("history", "blend", run_folder, "1", "0.5"),
            ("grade", run_folder, "--saturation", "0.5"),
            ("envmap", "set", run_folder, tmp_path / "sky.exr"),
            ("envmap", "edit", run_folder, "--prompt", "gold", "--encoder", "tiny"),
            ("styles", run_folder, "--encoder", "tiny"),
            ("select", run_folder, "--by", "sphere", "--radius", "9"),
        )
        # Before the run is read: the other one may be in the midst of writing it.
        checkpoints = run_folder / "nerfstudio_models"
        checkpoints.rename(run_folder / "written")
        for line in lines:
            if line[0] == "select":
                (run_folder / "written").rename(checkpoints)
            assert ft2s(monkeypatch, *line) == 1, line
            assert f"process {other.pid}" in capsys.readouterr().out.replace("\n", " "), line
        config = scene_config(capture, run_folder.parents[2], steps=10)
        config.timestamp = run_folder.name
        config.is_new = False
        with pytest.raises(SystemExit):
            config.save_config()
        assert f"process {other.pid}" in capsys.readouterr().out.replace("\n", " ")
        other.kill()
    for name in (".lock", ".lock.json"):
        before.pop(name, None)
    after = files(run_folder)
    assert {name: after.get(name) for name in before} == before and set(after) - set(before) <= {".lock", ".lock.json"}


def test_an_undo_that_finds_the_disk_full_undoes_nothing_and_says_so(run_folder, monkeypatch, capsys):
    before = files(run_folder / "history")
    checkpoint = next((run_folder / "nerfstudio_models").glob("step-*.ckpt"))
    with full_disk(checkpoint.stat().st_size // 6):
        assert ft2s(monkeypatch, "history", "undo", run_folder) == 1
    said = capsys.readouterr().out
    assert "could not be written" in said and "untouched" in said
    assert files(run_folder / "history") == before
    assert ft2s(monkeypatch, "history", "undo", run_folder) == 0
    assert [step.active for step in History.open(run_folder / "history").steps] == [True, False]


def test_a_training_holds_its_run_from_its_checks_to_its_end(capture, tmp_path):
    config = scene_config(capture, tmp_path, steps=10)
    config.save_config()
    folder, told = config.get_base_dir(), []

    def is_held() -> bool:
        code = "import sys; from fasttext2style.trust.lock import WriteLock; WriteLock(sys.argv[1], 0)"
        asked = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, text=True)
        assert asked.returncode in (0, 1) and (asked.returncode == 0 or "another program" in asked.stderr)
        return asked.returncode == 1

    assert is_held(), "before there is a trainer"
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    losses = trainer.pipeline.get_train_loss_dict

    def asking(step: int):
        told.append(is_held()) if step == 5 else None
        return losses(step)

    trainer.pipeline.get_train_loss_dict = asking
    trainer.train()
    assert told == [True]
    assert not is_held(), "others may go on with it"


def test_a_training_removes_what_killed_writers_left_anywhere_in_its_run(capture, tmp_path):
    config = scene_config(capture, tmp_path, steps=10)
    config.is_new = False
    rounds = config.get_base_dir() / "rounds" / "round_0001"
    rounds.mkdir(parents=True)
    left = [left_by_a_killed_writer(folder / "file") for folder in (config.get_base_dir(), rounds)]
    others = temporary_beside(rounds / "file")
    others.write_bytes(b"being written")
    config.save_config()
    assert not any(path.exists() for path in left) and others.exists()


@pytest.mark.slow
def test_of_two_undos_at_once_each_is_done_or_told_who_does(run_folder, tmp_path):
    """The loser of finding 12: it counted, and printed an errno."""
    copy = shutil.copytree(run_folder, tmp_path / run_folder.name)
    command = [sys.executable, "-c", "from fasttext2style.cli import entrypoint; entrypoint()", "history", "undo", copy]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)]  # fmt: skip
    said = [" ".join(it.communicate()[0].split()) for it in both]
    done = [it.returncode == 0 for it in both]
    for it, words in zip(both, said):
        assert "Errno" not in words and "Traceback" not in words, words
        assert it.returncode == 0 or "is being changed by another program (process" in words, words
    before = sum(step.active for step in History.open(run_folder / "history").steps)
    assert sum(step.active for step in History.open(copy / "history").steps) == before - sum(done) < before
