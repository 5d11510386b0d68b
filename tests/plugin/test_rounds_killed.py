"""A run of rounds, killed at any moment, resumes and ends with the very bits of the uninterrupted one."""

import random
import signal
from pathlib import Path

import pytest
import torch

from fasttext2style.plugin.runs.rounds import resume_run
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from tests import forked
from tests.plugin.hosts import BALL
from tests.plugin.rounds_host import rounds_capture, rounds_config

ROUNDS, STEPS = 3, 12
RUN = Path("test/fasttext2style-ip2p/run")


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module", params=[pytest.param("restyle", marks=pytest.mark.slow), "replace"])
def uninterrupted(request, capture, tmp_path_factory):
    """The mode, the last round's tensors, and the computing time of the training."""
    output = tmp_path_factory.mktemp("whole")
    run = _run(capture, output, request.param, 0.0)
    seconds = float(run.stdout.split("COMPUTED")[1].split()[0])
    rounds = RoundsFolder(output / RUN / "rounds").rounds()
    assert len(rounds) == ROUNDS + 1
    grown = rounds[-1].manifest["metrics"]["trained"]["object"] - BALL
    assert grown > 0 if request.param == "replace" else grown == 0
    return request.param, load_tensors(rounds[-1].snapshot), seconds


def _run(capture, output, mode, seconds):
    """A run in a process of its own, ended by the kernel after so many seconds of computing; 0 lets it end."""
    words = (capture, output, ROUNDS, STEPS, mode, seconds)
    return forked.run("python", "-m", "tests.plugin.rounds_host", *words, cwd=Path(__file__).parents[2])


def _ends_alike(capture, output, uninterrupted, share):
    """Kill a run after a share of its training and resume it; returns how many rounds were complete."""
    mode, expected, seconds = uninterrupted
    ended_by = _run(capture, output, mode, share * seconds).returncode
    folder = output / RUN
    complete = len(RoundsFolder(folder / "rounds").rounds()) - 1
    # Late moments may find it done already.
    assert ended_by == -signal.SIGPROF or (ended_by == 0 and complete == ROUNDS)
    resume_run(folder)
    rounds = RoundsFolder(folder / "rounds").rounds()
    assert len(rounds) == ROUNDS + 1
    ended = load_tensors(rounds[-1].snapshot)
    assert ended.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(ended[name], value), (name, share, complete)
    return complete


def test_a_killed_run_ends_as_the_uninterrupted_one(capture, tmp_path, uninterrupted):
    assert _ends_alike(capture, tmp_path, uninterrupted, 0.5) < ROUNDS


def test_a_run_killed_before_it_wrote_anything_is_run_again(capture, tmp_path, uninterrupted):
    mode, expected, _ = uninterrupted
    config = rounds_config(capture, tmp_path, ROUNDS, STEPS, mode)
    config.save_config()
    # What a kill in the midst of writing round 0 leaves.
    start = config.get_base_dir() / "rounds" / "round_0000"
    start.mkdir(parents=True)
    (start / ".scene.safetensors.tmp").write_bytes(b"half of it")
    resume_run(config.get_base_dir())
    ended = load_tensors(RoundsFolder(start.parent).rounds()[-1].snapshot)
    assert all(torch.equal(ended[name], value) for name, value in expected.items())


@pytest.mark.slow
def test_ten_of_ten_random_moments(capture, tmp_path, uninterrupted):
    dice = random.Random(0)
    found = [_ends_alike(capture, tmp_path / str(n), uninterrupted, dice.uniform(0, 1)) for n in range(10)]
    # The moments were spread over the run: it was found with different numbers of complete rounds.
    assert len(set(found)) >= 2, found
