"""A run of rounds, killed at any moment, resumes and ends with the very bits of the uninterrupted one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fasttext2style.plugin.rounds_run import resume_run
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from tests.plugin.hosts import BALL, train
from tests.plugin.rounds_host import rounds_capture, rounds_config

ROUNDS, STEPS = 3, 12


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return rounds_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module", params=["restyle", "replace"])
def uninterrupted(request, capture, tmp_path_factory):
    """The mode, the last round's tensors, and how long it trained."""
    trainer = train(rounds_config(capture, tmp_path_factory.mktemp("whole"), ROUNDS, STEPS, request.param))
    rounds = RoundsFolder(trainer.base_dir / "rounds").rounds()
    assert len(rounds) == ROUNDS + 1
    grown = rounds[-1].manifest["metrics"]["trained"]["object"] - BALL
    assert grown > 0 if request.param == "replace" else grown == 0
    seconds = sum(entry.manifest["seconds"]["all"] for entry in rounds[1:])
    return request.param, load_tensors(rounds[-1].snapshot), seconds


def _kill_at(capture: Path, output: Path, mode: str, moment: float, seconds: float) -> Path:
    """Start a run in a process of its own and kill it; 1.5 is half a round after the first one. Returns its folder."""
    arguments = [capture, output, ROUNDS, STEPS, mode]
    command = [sys.executable, "-m", "tests.plugin.rounds_host", *map(str, arguments)]
    folder = output / "test" / "fasttext2style-ip2p" / "run"
    last = folder / "rounds" / f"round_{int(moment):04d}" / "manifest.json"
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL) as run:
        while not last.is_file() and run.poll() is None:
            time.sleep(0.01)
        time.sleep(moment % 1 * seconds / ROUNDS)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    return folder


def _ends_alike(capture, output, uninterrupted, moment):
    mode, expected, seconds = uninterrupted
    folder = _kill_at(capture, output, mode, moment, seconds)
    complete = len(RoundsFolder(folder / "rounds").rounds()) - 1
    resume_run(folder)
    rounds = RoundsFolder(folder / "rounds").rounds()
    assert len(rounds) == ROUNDS + 1
    ended = load_tensors(rounds[-1].snapshot)
    assert ended.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(ended[name], value), (name, moment, complete)
    return complete


def test_a_killed_run_ends_as_the_uninterrupted_one(capture, tmp_path, uninterrupted):
    assert _ends_alike(capture, tmp_path, uninterrupted, 1.4) in (1, 2)


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
    found = [_ends_alike(capture, tmp_path / str(n), uninterrupted, dice.uniform(0, ROUNDS)) for n in range(10)]
    # The moments were spread over the run: it was found with different numbers of complete rounds.
    assert len(set(found)) >= 3, found
