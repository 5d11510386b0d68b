"""Minutes of kill -9 at random moments, and of processes that write at once; docs/trust.md has the counts."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fasttext2style.history.history import History
from fasttext2style.scene.files.atomic import remove_left_overs
from tests.full_disk import files
from tests.history.scenes import assert_same, random_state
from tests.history.test_accidents import recolor

ROOT = Path(__file__).parents[2]
TRIALS = 60


def _scene_of(history: History, count: int):
    state = random_state(count)
    for step in history.applied:
        state = history.delta(step.id).moved(state, 0.0, step.strength)
    return state


def _writes(folder: Path, said: int) -> None:
    """In a process of its own: says each thing that it has kept."""
    history = History.open(folder / "history")
    state = _scene_of(history, 2000)
    for count in range(10**6):
        first = history._store.index.next_step_id
        state = recolor(history, recolor(history, state, count + 0.5), count + 0.75)
        os.write(said, b"%d %d\n" % (first, first + 1))
        state = history.blend(first + 1, 0.5, state)
        os.write(said, b"%d half\n" % (first + 1))
        state = history.undo(history.undo(state))
        os.write(said, b"%d gone\n" % (first + 1))
        history.purge()


@pytest.mark.slow
def test_sixty_random_moments_of_writing_a_history_lose_nothing_that_was_kept(tmp_path):
    """One history that is killed again and again, and goes on each time."""
    dice, moments = random.Random(0), set()
    for trial in range(TRIALS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                _writes(tmp_path, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            said = stream.readline()  # it has begun
            time.sleep(dice.uniform(0, 0.25))
            os.kill(child, signal.SIGKILL)
            said += stream.read()
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "ended by itself"
        last = said.splitlines()[-1].split()
        history = History.open(tmp_path / "history")
        state = _scene_of(history, 2000)
        strengths = {step.id: step.strength for step in history.applied}
        moments.add(last[-1] if last[-1] in (b"half", b"gone") else b"kept")
        # What was said last is true, unless the next thing was done and not said yet.
        step = int(last[0])
        if last[-1] == b"gone":
            assert step not in strengths
            assert step - 1 in strengths
        elif last[-1] == b"half":
            assert strengths.get(step, 0.5) in (0.5, 1.0) and step - 1 in strengths
        else:
            assert strengths[step] == 1 and strengths[int(last[1])] in (0.5, 1)
        undone = state.copied()
        reopened = History.open(tmp_path / "history")
        for applied in reversed(reopened.applied):
            undone = reopened.delta(applied.id).moved(undone, applied.strength, 0.0)
        assert_same(undone, random_state(2000))
        # The next writer removes what the killed one left.
        recolor(history, state, 1000.0 + trial)
        history.purge()
        remove_left_overs(tmp_path, below=True)
        names = {name.split("/")[2] for name in files(tmp_path) if name.startswith("history/steps/")}
        assert names == {f"{step.id:04d}" for step in history.steps} and ".tmp" not in "".join(files(tmp_path))
    assert len(moments) == 3, moments


@pytest.mark.slow
def test_of_eight_that_write_at_once_one_wins_and_the_others_are_told_who(tmp_path):
    """Fifty times: all wait for the same moment, and hold the run until all others have asked."""
    code = (
        "import sys, time\n"
        "from fasttext2style.trust.lock import WriteLock\n"
        "print('ready', flush=True)\n"
        "for run in sys.stdin:\n"
        "    try:\n"
        "        with WriteLock(run.strip(), 0):\n"
        "            print('won', flush=True)\n"
        "            sys.stdin.readline()\n"
        "    except ValueError as error:\n"
        "        print(error, flush=True)\n"
        "        sys.stdin.readline()\n"
        "    print('next', flush=True)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, f"--writer-{n}"], cwd=ROOT, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n in range(8)
    ]  # fmt: skip
    try:
        assert [it.stdout.readline() for it in writers] == ["ready\n"] * 8
        for trial in range(50):
            run = tmp_path / str(trial)
            for it in writers:
                it.stdin.write(f"{run}\n")
                it.stdin.flush()
            said = [it.stdout.readline() for it in writers]
            (winner,) = [n for n, words in enumerate(said) if words == "won\n"]
            for words in said[:winner] + said[winner + 1 :]:
                # Asked in the very moment between the lock and its name, nobody can be named.
                assert f"process {writers[winner].pid} on" in words or "who that is could not be read" in words, words
            for it in writers:
                it.stdin.write("\n")
                it.stdin.flush()
            assert [it.stdout.readline() for it in writers] == ["next\n"] * 8
    finally:
        for it in writers:
            it.kill()
            it.wait()
