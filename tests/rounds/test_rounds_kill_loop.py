"""Minutes of kill -9 at random moments of a run of rounds; docs/trust.md has the counts."""

import os
import random
import signal
import time

import pytest
import torch

from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from tests.full_disk import files
from tests.rounds.balls import run
from tests.rounds.test_full_disk_of_rounds import _go_on, whole  # noqa: F401 (a fixture)

TRIALS = 50


def _in_a_child(folder) -> int:
    child = os.fork()
    if child == 0:
        try:
            torch.manual_seed(0)
            run(_go_on(folder / "rounds"))
        finally:
            os._exit(0)
    return child


@pytest.mark.slow
def test_fifty_random_moments_of_rounds_end_as_if_nothing_had_been(tmp_path, whole):  # noqa: F811
    names, expected, _ = whole
    dice, found = random.Random(0), []
    started = time.monotonic()
    os.waitpid(_in_a_child(tmp_path / "timed"), 0)
    seconds = time.monotonic() - started
    for trial in range(TRIALS):
        folder = tmp_path / str(trial)
        child = _in_a_child(folder)
        time.sleep(dice.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        complete = RoundsFolder(folder / "rounds").rounds() if (folder / "rounds").exists() else []
        kept = {it.folder: files(it.folder) for it in complete}
        torch.manual_seed(0)
        rounds = _go_on(folder / "rounds")
        run(rounds) if not rounds.done else None
        assert all(
            {name: content for name, content in files(place).items() if ".tmp" not in name} == content_before
            for place, content_before in kept.items()
            for content_before in [{name: it for name, it in content_before.items() if ".tmp" not in name}]
        )
        ended = load_tensors(RoundsFolder(folder / "rounds").rounds()[-1].snapshot)
        assert ended.keys() == expected.keys()
        assert all(torch.equal(ended[name], value) for name, value in expected.items()), trial
        left = {name for name in files(folder) if ".tmp" not in name}
        assert left == names, trial
        found.append(len(complete))
    assert len(set(found)) >= 3, found
