"""The disk is full at every place where something is written, one after the other: nothing is half done or lost."""

import builtins
import errno
import io
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from fasttext2style.history.history import History
from fasttext2style.scene.files.atomic import atomic_write, remove_left_overs, temporary_beside
from tests.history.scenes import assert_same, random_state
from tests.history.test_accidents import files, recolor

CALLS = {os: ("mkdir", "rename", "replace", "link", "fsync"), builtins: ("open",), io: ("open",)}
"""All that a full disk may refuse; what reads or removes is let through."""


@contextmanager
def full_disk(folder: Path, place: int):
    """From this call on everything that would write into a folder fails; yields how many calls there were."""
    calls, before = [0], {(module, name): getattr(module, name) for module, names in CALLS.items() for name in names}

    def failing(original):
        def call(*arguments, **options):
            target = str(arguments[-1] if original.__name__ in ("rename", "replace", "link") else arguments[0])
            mode = options.get("mode", arguments[1] if len(arguments) > 1 else "r")
            writes = original.__name__ != "open" or (isinstance(mode, str) and set(mode) & set("wax+"))
            # A descriptor has no path: of those that are flushed all are ours.
            if writes and (original.__name__ == "fsync" or target.startswith(str(folder))):
                calls[0] += 1
                if calls[0] >= place:
                    raise OSError(errno.ENOSPC, "No space left on device", target)
            return original(*arguments, **options)

        return call

    for (module, name), original in before.items():
        setattr(module, name, failing(original))
    try:
        yield calls
    finally:
        for (module, name), original in before.items():
            setattr(module, name, original)


CHANGES = {
    "a step": lambda history, state: recolor(history, state, 0.75),
    "undo": lambda history, state: history.undo(state),
    "blend": lambda history, state: history.blend(1, 0.5, state),
    "carrying over": lambda history, state: history.carried_to(history.folder.parent / "next" / "history"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_that_finds_the_disk_full_anywhere_is_not_made_at_all(tmp_path, what):
    def begun(folder: Path):
        history = History.open(folder / "history")
        state = recolor(history, random_state(20), 0.25)
        if what != "blend":
            state = recolor(history, state, 0.5)
        return history, state

    history, state = begun(tmp_path / "counted")
    with full_disk(tmp_path / "counted", 10**6) as calls:
        CHANGES[what](history, state)
    refused = 0
    for place in range(1, calls[0] + 1):
        folder = tmp_path / str(place)
        history, state = begun(folder)
        now, before = state.copied(), files(folder / "history")
        try:
            with full_disk(folder, place):
                CHANGES[what](history, state)
        except ValueError as error:
            assert "No space left" in str(error)
            refused += 1
            assert files(folder / "history") == before, f"place {place}"
            if what != "carrying over":
                assert_same(state, now)
            # And there is space again.
            CHANGES[what](history, state)
        opened = History.open(folder / "history")
        replayed = random_state(20)
        for step in opened.applied:
            replayed = opened.delta(step.id).moved(replayed, 0.0, step.strength)
        while opened.can_undo:
            replayed = opened.undo(replayed)
        assert_same(replayed, random_state(20))
    # Only the name of whoever holds the lock is written for people alone.
    assert refused >= calls[0] - 2 and refused > 0, (refused, calls[0])


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
    (path.parent / ".report.json.vimrc.tmp").write_bytes(b"of somebody else")
    assert len(list(path.parent.iterdir())) == 4
    with atomic_write(path) as stream:
        stream.write(b"{}")
    assert len(list(path.parent.iterdir())) == 4 and mine.exists(), "the other file's left-over is not ours to judge"
    remove_left_overs(tmp_path, below=True)
    assert {it.name for it in path.parent.iterdir()} == {"report.json", mine.name, ".report.json.vimrc.tmp"}


def test_all_files_of_a_step_may_be_read_by_the_same_people(tmp_path):
    history = History.open(tmp_path / "history")
    recolor(history, random_state(5), 0.25)
    paths = [path for path in (tmp_path / "history").rglob("*.*") if path.is_file()]
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in paths}
    assert set(modes) == {"history.json", "step.json", "delta.safetensors"}
    assert len(set(modes.values())) == 1, modes
