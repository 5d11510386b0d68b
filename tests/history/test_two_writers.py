"""Two programs on one run: the second one is told who the first is, and can hurt nothing."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from fasttext2style.history.history import History
from fasttext2style.trust.lock import WriteLock, holder
from tests.history.scenes import assert_same, random_state
from tests.history.test_accidents import files, recolor

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from fasttext2style.trust.lock import WriteLock
lock = WriteLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def _holding(code, run):
    command = [sys.executable, "-c", code, str(run), "--live"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of the run in tmp_path."""
    with _holding(HOLDER, tmp_path) as process:
        yield process


def test_a_second_writer_is_told_who_holds_the_run_and_changes_nothing(tmp_path, other):
    with pytest.raises(ValueError, match=rf"changed by another program \(process {other.pid} on .*--live"):
        recolor(History.open(tmp_path / "history"), random_state(5), 0.25)
    assert not (tmp_path / "history").exists()


def test_the_lock_ends_with_a_killed_process_and_its_name_is_not_believed(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert str(other.pid) in holder(tmp_path), "a killed program leaves its name"
    recolor(History.open(tmp_path / "history"), random_state(5), 0.25)
    assert str(other.pid) not in holder(tmp_path)


def test_holders_in_one_process_share_the_lock_and_the_last_one_gives_it_back(tmp_path):
    first, second = WriteLock(tmp_path), WriteLock(tmp_path / "nothing" / "..")
    first.release()
    first.release()
    code = "import sys; from fasttext2style.trust.lock import WriteLock; WriteLock(sys.argv[1], 0)"
    asked = [sys.executable, "-c", code, str(tmp_path)]
    assert "another program" in subprocess.run(asked, cwd=ROOT, capture_output=True, text=True).stderr
    second.release()
    assert subprocess.run(asked, cwd=ROOT, capture_output=True, text=True).returncode == 0


def test_where_the_disk_knows_no_locks_a_marker_stands_in(tmp_path):
    code = "import errno, fcntl\ndef flock(*_): raise OSError(errno.ENOSYS, 'no locks')\nfcntl.flock = flock\n" + HOLDER
    with _holding(code, tmp_path) as first:
        told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
        assert told.returncode == 1 and f"another program (process {first.pid} on" in told.stderr, told.stderr
        first.kill()


def test_a_link_in_place_of_the_holders_name_is_not_written_through(tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("keep")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock.json").symlink_to(mine)
    with WriteLock(tmp_path / "run"):
        assert str(os.getpid()) in holder(tmp_path / "run")
    assert mine.read_text() == "keep"


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    """Of a run that somebody sent: the lock would be made of, and may empty, whatever it points at."""
    mine = tmp_path / "mine.txt"
    mine.write_text("keep")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(mine)
    with pytest.raises(ValueError, match="run cannot be written"):
        WriteLock(tmp_path / "run")
    assert mine.read_text() == "keep"


@pytest.mark.parametrize("change", ["purge", "record", "undo", "carried_to"])
def test_a_history_that_was_opened_earlier_removes_no_step_that_came_since(tmp_path, change):
    state = recolor(History.open(tmp_path / "history"), random_state(50), 0.25)
    stale, session = History.open(tmp_path / "history"), History.open(tmp_path / "history")
    other = recolor(session, state.copied(), 0.5)
    before = files(tmp_path / "history")
    with pytest.raises(ValueError, match="changed by another program"):
        if change == "carried_to":
            # As if the target had been empty when it was opened.
            source = History.open(tmp_path / "elsewhere" / "history")
            source._store.link_steps_to(stale._store)
        elif change == "record":
            recolor(stale, state, 0.75)
        else:
            getattr(stale, change)(*([state] if change == "undo" else []))
    assert files(tmp_path / "history") == before
    assert_same(History.open(tmp_path / "history").undo(other), state)


WRITER = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from fasttext2style.history.history import History
from tests.history.scenes import random_state
from tests.history.test_accidents import recolor
folder, mine = Path(sys.argv[1]) / "history", float(sys.argv[2])
kept = refused = 0
while kept < 12:
    try:
        history, state = History.open(folder), random_state(40)
        for step in history.applied:
            state = history.delta(step.id).moved(state, 0.0, step.strength)
        recolor(history, state, mine + kept)
        kept += 1
        history.purge()
    except ValueError as error:
        assert "another program" in str(error), error
        refused += 1
print(kept, refused)
"""


def test_two_writers_at_once_lose_nothing_that_was_said_to_be_kept(tmp_path):
    commands = [[sys.executable, "-c", WRITER, str(tmp_path), str(first)] for first in (0.25, 100.25)]
    writers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for command in commands]
    said = [writer.communicate(timeout=100)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], said
    history, state = History.open(tmp_path / "history"), random_state(40)
    names = sorted(step.name for step in history.steps)
    assert names == sorted(f"all {first + count}" for first in (0.25, 100.25) for count in range(12))
    for step in history.applied:
        state = history.delta(step.id).moved(state, 0.0, step.strength)
    while history.can_undo:
        state = history.undo(state)
    assert_same(state, random_state(40))


def test_moves_and_a_checkpoint_that_fails_leave_the_history_as_it_was(tmp_path):
    """Undo on a full disk: half of it is worse than nothing, for whoever tries again undoes another step."""
    history = History.open(tmp_path / "history")
    state = recolor(history, recolor(history, random_state(9), 0.25), 0.5)
    before = files(tmp_path)
    with pytest.raises(ValueError, match="full"), history.at_once():
        history.undo(state.copied())
        raise ValueError("the disk is full")
    assert files(tmp_path) == before and len(history.applied) == 2
    with history.at_once():
        history.undo(state)
        assert len(history.applied) == 1
        assert len(History.open(tmp_path / "history").applied) == 2, "not yet"
    assert len(History.open(tmp_path / "history").applied) == 1
