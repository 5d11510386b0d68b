"""The disk is full at every place where something is written, one after the other: nothing is half done or lost."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.scene.files.atomic import atomic_write, remove_left_overs, temporary_beside
from tests.full_disk import IS_FULL, files, flushes_and_names, full_disk, moments
from tests.history.scenes import assert_same, random_state
from tests.history.test_accidents import recolor


def _painted(history: History, state: SceneState) -> SceneState:
    """With a picture, as sessions do."""
    before = {"features_dc": state.columns["features_dc"]}
    delta = Delta.of_rows(state.ids, before, {"features_dc": torch.full_like(before["features_dc"], 0.75)})
    history.record(delta, "painted", thumbnail=np.zeros((9, 9, 3), np.uint8))
    return delta.moved(state, 0.0, 1.0)


def _grown(history: History, state: SceneState) -> SceneState:
    added = SceneState(state.at(state.ids[:2]).columns, history.fresh_ids(state, 2))
    delta = Delta.of_growth(state.at(state.ids[3:5]), added)
    history.record(delta, "grown")
    return delta.moved(state, 0.0, 1.0)


def _with_a_checkpoint(move):
    """As commands do: the scene is saved in between."""

    def change(history: History, state: SceneState) -> SceneState:
        with history.at_once():
            state = move(history, state)
            with atomic_write(history.folder.parent / "scene.pt") as stream:
                stream.write(state.columns["features_dc"].numpy().tobytes())
        return state

    return change


CHANGES = {
    "a step": lambda history, state: recolor(history, state, 0.75),
    "a step with a picture": _painted,
    "growth": _grown,
    "undo": lambda history, state: history.undo(state),
    "redo": lambda history, state: history.redo(history.undo(state)),
    "drop": lambda history, state: history.drop(2, state),
    "blend": lambda history, state: history.blend(2, 0.5, state),
    "undo and save": _with_a_checkpoint(lambda history, state: history.undo(state)),
    "a step and save": _with_a_checkpoint(lambda history, state: recolor(history, state, 0.75)),
}


def _begun(folder: Path) -> tuple[History, SceneState]:
    history = History.open(folder / "history")
    state = recolor(history, recolor(history, random_state(20), 0.25), 0.5)
    return history, state


def _scene_of(history: History) -> SceneState:
    state = random_state(20)
    for step in history.applied:
        state = history.delta(step.id).moved(state, 0.0, step.strength)
    return state


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_that_finds_the_disk_full_anywhere_is_not_made_at_all(tmp_path, what):
    history, state = _begun(tmp_path / "counted")
    with full_disk(tmp_path / "counted") as used:
        CHANGES[what](history, state)
    done, strengths = files(tmp_path / "counted").keys(), history.applied
    refused = 0
    for number, moment in enumerate(moments(used)):
        folder = tmp_path / str(number)
        history, state = _begun(folder)
        if what == "redo":  # the first half of it has space
            state, finish = history.undo(state), lambda history, state: history.redo(state)
        else:
            finish = CHANGES[what]
        now, before = state.copied(), files(folder)
        try:
            with full_disk(folder, **moment):
                state = finish(history, state)
        except ValueError as error:
            assert re.search(IS_FULL, str(error)), moment
            assert re.search("untouched|nothing was changed|as it was", str(error)) or "save" in what, error
            refused += 1
            left = files(folder)
            if "save" in what:  # the file that the caller wrote is his
                left.pop("scene.pt", None)
            assert left == before, moment
            if "save" not in what:
                assert_same(state, now)
            # And there is space again: once, in the session that goes on, and as opened anew.
            state = finish(history, now)
        except OSError:
            assert "save" in what, "the caller's own file"
            assert files(folder) == before
            refused += 1
            state = finish(history, now)
        opened = History.open(folder / "history")
        assert opened.applied == history.applied == strengths
        assert files(folder).keys() == done, moment
        assert_same(_scene_of(opened), state)
        while opened.can_undo:
            state = opened.undo(state)
        assert_same(state, random_state(20))
    # Only the name of whoever holds the lock is written for people alone.
    assert refused >= used.calls - 2 > 0, (refused, used.calls)


@pytest.mark.parametrize("what", ["a step with a picture", "undo"])
def test_a_change_that_is_killed_before_any_write_is_made_or_not(tmp_path, what):
    """One after the other: no moment is too short to be met."""
    history, state = _begun(tmp_path / "counted")
    before = history.applied
    with full_disk(tmp_path / "counted") as used:
        CHANGES[what](history, state)
    possible = (before, history.applied)
    for number in range(used.calls):
        history, state = _begun(tmp_path / str(number))
        child = os.fork()
        if child == 0:
            try:
                with full_disk(tmp_path / str(number), calls=number) as disk:
                    disk.refuse = lambda _: os._exit(9)
                    CHANGES[what](history, state)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, "killed before it was done"
        opened = History.open(tmp_path / str(number) / "history")
        assert opened.applied in possible, number
        state = recolor(opened, _scene_of(opened), 0.125)
        assert not [path for path in opened.folder.rglob("*") if path.suffix == ".tmp"], "the next writer cleans up"
        while opened.can_undo:
            state = opened.undo(state)
        assert_same(state, random_state(20))
    assert used.calls > 4


def test_a_history_that_finds_the_disk_full_while_it_is_carried_over_stays_and_is_carried_over_later(tmp_path):
    history, _ = _begun(tmp_path / "first")
    with full_disk(tmp_path / "counted") as used:
        history.carried_to(tmp_path / "counted" / "history")
    before = files(tmp_path / "first")
    for number, moment in enumerate(moments(used)):
        folder = tmp_path / str(number) / "history"
        try:
            with full_disk(tmp_path / str(number), **moment):
                history.carried_to(folder)
        except ValueError as error:
            assert re.search(IS_FULL, str(error))
            assert not History.open(folder).steps
            history.carried_to(folder)
        assert files(folder) == files(tmp_path / "first" / "history") and files(tmp_path / "first") == before


def test_files_that_a_killed_writer_left_are_removed_by_the_next_one_and_those_of_living_ones_stay(tmp_path):
    path = tmp_path / "inside" / "report.json"
    path.parent.mkdir()
    mine = temporary_beside(path)
    child = os.fork()
    if child == 0:
        temporary_beside(path).write_bytes(b"half a fi")
        temporary_beside(path.with_name("other.json")).write_bytes(b"half a fi")
        os._exit(0)
    os.waitpid(child, 0)
    mine.write_bytes(b"being written")
    # Of another program, and of a machine that shares the disk, whose processes nobody here can see.
    host = mine.name.split(".")[-2].partition("-")[0]
    of_another_host = mine.name.replace(host, f"{int(host, 16) ^ 1:08x}").replace(f"-{os.getpid()}-", f"-{child}-")
    others = {".report.json.vimrc.tmp", of_another_host}
    for name in others:
        (path.parent / name).write_bytes(b"of somebody else")
    assert len(list(path.parent.iterdir())) == 5
    with atomic_write(path) as stream:
        stream.write(b"{}")
    assert len(list(path.parent.iterdir())) == 5 and mine.exists(), "the other file's left-over is not ours to judge"
    remove_left_overs(tmp_path, below=True)
    assert {it.name for it in path.parent.iterdir()} == {"report.json", mine.name, *others}


def test_all_files_of_a_step_may_be_read_by_the_same_people(tmp_path):
    history = History.open(tmp_path / "history")
    recolor(history, random_state(5), 0.25)
    paths = [path for path in (tmp_path / "history").rglob("*.*") if path.is_file()]
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in paths}
    assert set(modes) == {"history.json", "step.json", "delta.safetensors"}
    assert len(set(modes.values())) == 1, modes


def test_bytes_are_handed_to_the_disk_before_a_file_gets_its_name(tmp_path, monkeypatch):
    """A rename may reach the disk first: without this, power that fails leaves an empty file under the right name."""
    with flushes_and_names(monkeypatch) as seen, atomic_write(tmp_path / "report.json") as stream:
        stream.write(b"x" * 10**5)
    (flushed, file, size), (named, source, _) = seen
    assert (flushed, named, file, size) == ("flushed", "named", source, 10**5)

    history = History.open(tmp_path / "history")
    with flushes_and_names(monkeypatch) as seen:
        _painted(history, random_state(5))
    step = [what for what, *_ in seen].index("named")
    files_of_step = {Path(file).name: size for what, file, size in seen[:step] if what == "flushed"}
    folder = tmp_path / "history" / "steps" / "0001"
    assert files_of_step == {path.name: path.stat().st_size for path in folder.iterdir()}
    assert [what for what, *_ in seen[step:]] == ["named", "flushed", "named"], "the step, then history.json"
