"""The disk is full at any moment of a run of rounds: complete rounds stay, and with space again it ends alike."""

import re

import pytest
import torch

from fasttext2style.editors.local_edit import LocalEditor
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.snapshot import load_tensors
from tests.full_disk import IS_FULL, files, full_disk, moments
from tests.rounds.balls import ball_rounds, run
from tests.rounds.editors import Painter

ROUNDS = 2


def _rounds(folder):
    return ball_rounds(folder, LocalEditor(Painter()), config=RoundsConfig(Schedule(rounds=ROUNDS, steps=2)))


def _go_on(folder):
    """As `ft2s rounds resume`."""
    rounds = _rounds(folder)
    if RoundsFolder(folder).rounds():
        rounds.resume()
    else:
        rounds.start()
    return rounds


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Names of the files of a run that was not disturbed, its last snapshot, and what it used of the disk."""
    folder = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    with full_disk(folder) as used:
        run(_go_on(folder / "rounds"))
    return files(folder).keys(), load_tensors(RoundsFolder(folder / "rounds").rounds()[-1].snapshot), used


def _ends_alike(folder, moment, whole):
    names, expected, _ = whole
    torch.manual_seed(0)
    with (
        full_disk(folder, **moment),
        pytest.raises(ValueError, match="Complete rounds are untouched: free some disk space, then ft2s rounds resume")
        as refused,
    ):  # fmt: skip
        run(_go_on(folder / "rounds"))
    assert re.search(IS_FULL, str(refused.value)) and ".tmp" not in str(refused.value)
    complete = RoundsFolder(folder / "rounds").rounds() if (folder / "rounds").exists() else []
    kept = {path: content for path, content in files(folder).items()
            if any(f"round_{entry.number:04d}/" in path for entry in complete)}  # fmt: skip
    torch.manual_seed(0)
    rounds = _go_on(folder / "rounds")
    run(rounds) if not rounds.done else None
    left = files(folder)
    assert all(left[path] == content for path, content in kept.items())
    assert left.keys() == names, moment
    ended = load_tensors(RoundsFolder(folder / "rounds").rounds()[-1].snapshot)
    assert ended.keys() == expected.keys()
    assert all(torch.equal(ended[name], value) for name, value in expected.items()), moment
    return len(complete)


def test_a_run_of_rounds_that_finds_the_disk_full_goes_on_with_space_and_ends_alike(tmp_path, whole):
    found = moments(whole[2], most=4)
    complete = [_ends_alike(tmp_path / str(number), moment, whole) for number, moment in enumerate(found[::3])]
    assert len(set(complete)) >= 2, complete


@pytest.mark.slow
def test_wherever_it_finds_it_full(tmp_path, whole):
    found = moments(whole[2], most=1000)
    complete = [_ends_alike(tmp_path / str(number), moment, whole) for number, moment in enumerate(found)]
    assert set(complete) == {0, 1, 2, 3}, "the last one is a run that lacks nothing but its page"
