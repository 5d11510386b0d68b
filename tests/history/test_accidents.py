"""Full disks, killed programs, damaged files: all earlier steps stay as they were, and the history goes on."""

import json
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from fasttext2style.history.checkpoint import APPLIED, IDS, history_tensors, state_of_checkpoint
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.trust.documents import LARGEST
from tests.history.scenes import assert_same, random_state


def recolor(history: History, state: SceneState, value: float) -> SceneState:
    before = {"features_dc": state.columns["features_dc"]}
    delta = Delta.of_rows(state.ids, before, {"features_dc": torch.full_like(before["features_dc"], value)})
    history.record(delta, f"all {value}")
    return delta.moved(state, 0.0, 1.0)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def full_disk(limit: int):
    """No file may grow beyond so many bytes: writing fails in the midst of a file, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def history(tmp_path) -> History:
    return History.open(tmp_path / "history")


@pytest.mark.parametrize("limit", [0, 100, 5000])
def test_a_full_disk_leaves_the_history_as_it_was(history, limit):
    state = recolor(history, random_state(500), 0.25)
    before = files(history.folder)
    with full_disk(limit), pytest.raises(ValueError, match="could not be kept"):
        recolor(history, state, 0.5)
    assert files(history.folder) == before and len(history.steps) == 1
    recolor(history, state, 0.5)
    assert [step.id for step in History.open(history.folder).steps] == [1, 2]


def test_a_full_disk_during_undo_leaves_the_scene_as_it_was(history):
    state = recolor(history, random_state(500), 0.25)
    now, before = state.copied(), files(history.folder)
    with full_disk(20), pytest.raises(ValueError, match="nothing was changed"):
        history.undo(state)
    assert_same(state, now)
    assert files(history.folder) == before
    assert_same(history.undo(state), random_state(500))


def test_a_full_disk_after_the_step_was_written_leaves_no_trace_of_it(history):
    """The step's own files fit, a long history.json does not."""
    state = random_state(2)
    for number in range(40):
        state = recolor(history, state, number / 64)
    before = files(history.folder)
    with full_disk(len(before["history.json"]) - 1), pytest.raises(ValueError, match="could not be written"):
        recolor(history, state, 0.875)
    assert files(history.folder) == before


def test_what_a_killed_program_left_is_cleaned_up(history):
    state = recolor(history, random_state(5), 0.25)
    unfinished = history.folder / "steps" / ".0002.tmp"
    unfinished.mkdir()
    (unfinished / "delta.safetensors").write_bytes(b"half a fi")
    unnamed = history.folder / "steps" / "0002"
    unnamed.mkdir()
    (unnamed / "thumbnail.png").write_bytes(b"of a step that was never named in history.json")
    history = History.open(history.folder)
    assert len(history.steps) == 1 and unfinished.exists(), "another program might be writing it"
    recolor(history, state, 0.5)
    assert not unfinished.exists()
    assert [step.name for step in history.steps] == ["all 0.25", "all 0.5"] and history.steps[1].thumbnail is None


KILLED_AT_ANY_MOMENT = """
import os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from fasttext2style.history.history import History
from tests.history.scenes import assert_same, random_state
from tests.history.test_accidents import recolor
for number in range(8):
    folder = Path(sys.argv[1]) / str(number)
    child = os.fork()
    if child == 0:
        history, state = History.open(folder), random_state(3000)
        for count in range(10**6):
            state = history.undo(recolor(history, recolor(history, state, count + 0.5), count + 0.75))
    # Counted in steps, not in seconds: a busy machine gets there, too.
    while len(list(folder.glob("steps/0*"))) < 2 * number:
        time.sleep(0.001)
    time.sleep(0.004 * number)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    history, state = History.open(folder), random_state(3000)
    steps = history.applied
    for step in steps:
        state = history.delta(step.id).moved(state, 0.0, step.strength)
    while history.can_undo:
        state = history.undo(state)
    assert_same(state, random_state(3000))
    recolor(history, state, 0.25)
    print(len(steps))
"""


def test_a_history_killed_at_any_moment_undoes_to_the_first_scene(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_ANY_MOMENT, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    steps = [int(line) for line in done.stdout.split()]
    assert len(steps) == 8 and max(steps) > 2, "some of them had got somewhere"


def test_what_people_lay_beside_the_steps_is_let_alone(history):
    state = recolor(history, recolor(history, random_state(200), 0.25), 0.5)
    steps = history.folder / "steps"
    for name in ("0001.bak", "0002 (copy)", "Copy of 0002", "2", "notes"):
        shutil.copytree(steps / "0001", steps / name)
    (steps / "notes.txt").write_text("gold is better")
    left = {name: content for name, content in files(steps).items() if not name.startswith(("0001/", "0002/"))}
    reopened = History.open(history.folder)
    assert [step.id for step in reopened.steps] == [1, 2]
    before = reopened.undo(state)
    recolor(reopened, before, 0.75)
    reopened.purge()
    assert [step.id for step in History.open(history.folder).steps][-1] == 3
    kept = {name: content for name, content in files(steps).items() if name in left}
    assert kept == left


def test_a_checkpoint_behind_its_history_is_brought_up_to_it(history):
    """Killed after the step was kept, before the scene was saved."""
    first = random_state(9)
    now = recolor(history, first.copied(), 0.25)
    entries = {IDS: torch.empty(0, dtype=torch.long), APPLIED: torch.empty(0, dtype=torch.uint8)}
    for saved in ({}, entries):
        scene = first.copied()
        loaded = state_of_checkpoint(scene.gaussians(), scene.selection, saved, History.open(history.folder))
        assert_same(loaded, now)


def test_a_checkpoint_with_a_step_that_was_undone_and_replaced_is_brought_back(history):
    state = random_state(9)
    state = recolor(history, recolor(history, state, 0.25), 0.5)
    saved, scene = history_tensors(state, history), state.copied()
    state = history.undo(state)
    state = recolor(history, state, 0.75)
    loaded = state_of_checkpoint(scene.gaussians(), scene.selection, saved, History.open(history.folder))
    assert_same(loaded, state)


def test_a_checkpoint_of_another_scene_is_refused(history):
    recolor(history, random_state(9), 0.25)
    other = random_state(9, seed=1)
    with pytest.raises(ValueError, match="not the one that this step was made on"):
        state_of_checkpoint(other.gaussians(), other.selection, {}, history)


@pytest.mark.parametrize("ids, said", [
    (torch.arange(9.0), r"whole numbers from 0 on \[gaussians\], got torch.float32 \[9\]"),
    (torch.arange(9) - 1, "whole numbers from 0 on"),
    (torch.arange(9)[:, None], r"got torch.int64 \[9, 1\]"),
    (torch.zeros(9, dtype=torch.long), "ascend"),
    (torch.arange(9) + 2**62 - 8, "be below"),
])  # fmt: skip
def test_a_checkpoint_whose_gaussians_are_none_of_a_history_is_refused(history, ids, said):
    state = random_state(9)
    with pytest.raises(ValueError, match=f"entry history_ids should.*{said}"):
        state_of_checkpoint(state.gaussians(), state.selection, {f"_model.{IDS}": ids}, history)


@pytest.mark.parametrize("applied", ['[{"id": 1, "strength": "all"}]', '[{"id": "1", "strength": 1}]', "[1]", "{"])
def test_a_checkpoint_that_says_not_how_much_of_a_step_it_holds_is_refused(history, applied):
    state = recolor(history, random_state(9), 0.25)
    saved = history_tensors(state, history) | {
        APPLIED: torch.frombuffer(bytearray(applied.encode()), dtype=torch.uint8)
    }
    with pytest.raises(ValueError, match=f"entry {APPLIED} is damaged"):
        state_of_checkpoint(state.gaussians(), state.selection, saved, history)


def test_a_history_is_gone_with_its_index_its_steps_or_its_run(history):
    assert not history.is_gone, "nothing was written yet"
    recolor(history, random_state(5), 0.25)
    assert not history.is_gone
    delta, index = history.folder / "steps" / "0001" / "delta.safetensors", history.folder / "history.json"
    for path in (delta, index):
        content = path.read_bytes()
        path.unlink()
        assert history.is_gone
        path.write_bytes(content)
        assert not history.is_gone
    shutil.rmtree(history.folder.parent)
    assert history.is_gone


def test_a_history_as_large_as_nobodys_is_not_read(history):
    recolor(history, random_state(5), 0.25)
    index = history.folder / "history.json"
    content = index.read_bytes()
    index.write_bytes(content.ljust(LARGEST))
    assert len(History.open(history.folder).steps) == 1
    index.write_bytes(content.ljust(LARGEST + 1))
    with pytest.raises(ValueError, match=r"history\.json .*more than"):
        History.open(history.folder)


@pytest.mark.parametrize("number, value", [("next_step_id", 10**9), ("next_gaussian_id", 2**62)])
def test_numbers_from_which_nobody_could_count_on_are_refused(history, number, value):
    """The next step would be written, and its history would not open again."""
    recolor(history, random_state(9), 0.25)
    index = history.folder / "history.json"
    content = json.loads(index.read_text())
    for told in (value - 1, value):
        index.write_text(json.dumps(content | {number: told}))
        if told == value:
            with pytest.raises(ValueError, match=r"history.json .*larger than anybody"):
                History.open(history.folder)
        else:
            History.open(history.folder)


def test_damaged_files_are_named(history):
    state = recolor(history, random_state(5), 0.25)
    index = history.folder / "history.json"
    content = index.read_text()
    beyond = json.loads(content)
    beyond["moves"][-1][2] = 1.5
    future = {"format": "of the future", "strengths": []}
    for damaged in (content[:-9], "[]", json.dumps(future), json.dumps(beyond)):
        index.write_text(damaged)
        with pytest.raises(ValueError, match=r"history\.json"):
            History.open(history.folder)
    index.write_text(content)
    delta = history.folder / "steps" / "0001" / "delta.safetensors"
    delta.write_bytes(delta.read_bytes()[:-9])
    with pytest.raises(ValueError, match="cannot be read as a history step"):
        History.open(history.folder).undo(state)
    delta.unlink()
    with pytest.raises(ValueError, match=r"steps \[1\] are missing"):
        History.open(history.folder)


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-9], lambda text: "[]", lambda text: text.replace("seed", "sed")]
)
def test_damaged_facts_of_a_step_are_named(history, damage):
    recolor(history, random_state(5), 0.25)
    facts = history.folder / "steps" / "0001" / "step.json"
    facts.write_text(damage(facts.read_text()))
    with pytest.raises(ValueError, match=r"step\.json is missing or damaged"):
        _ = History.open(history.folder).steps
    facts.unlink()
    with pytest.raises(ValueError, match=r"step\.json is missing or damaged"):
        history.step(1)


def test_two_programs_do_not_overwrite_each_other(history):
    state = recolor(history, random_state(5), 0.25)
    other = History.open(history.folder)
    history.undo(state.copied())
    with pytest.raises(ValueError, match="changed by another program"):
        other.undo(state)
