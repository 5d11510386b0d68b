"""Minutes of kill -9 at random moments of writing results/; docs/trust.md has the counts."""

import json
import os
import random
import shutil
import signal
import time

import pytest

from fasttext2style.commands.rounds import Resume
from tests.full_disk import files
from tests.plugin.test_full_disk_of_runs import two_rounds  # noqa: F401 (a fixture)

TRIALS = 50


@pytest.mark.slow
def test_fifty_random_moments_of_writing_results_write_them_when_the_run_is_resumed(two_rounds, tmp_path, capfd):  # noqa: F811
    whole, names = files(two_rounds / "rounds"), files(two_rounds / "results").keys()
    told = json.loads((two_rounds / "results" / "report.json").read_text())["rounds"]
    dice, found, seconds = random.Random(0), [], 0.0
    for trial in range(TRIALS + 1):
        copy = shutil.copytree(two_rounds, tmp_path / str(trial))
        shutil.rmtree(copy / "results")
        child, began = os.fork(), time.monotonic()
        if child == 0:
            try:
                Resume(copy).run()
            finally:
                os._exit(0)
        if trial:
            # From when it begins to write.
            while not (copy / "results").exists() and time.monotonic() - began < 60:
                time.sleep(0.001)
            time.sleep(dice.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
        else:
            while not (copy / "results").exists():
                time.sleep(0.001)
            began = time.monotonic()
        os.waitpid(child, 0)
        seconds = seconds or time.monotonic() - began
        found.append(len(files(copy / "results")))
        Resume(copy).run()
        capfd.readouterr()
        assert files(copy / "results").keys() == names, trial
        assert json.loads((copy / "results" / "report.json").read_text())["rounds"] == told
        assert {name: it for name, it in files(copy / "rounds").items() if name != "index.html"} == {
            name: it for name, it in whole.items() if name != "index.html"
        }
        Resume(copy).run()
        assert "All 2 rounds are done" in capfd.readouterr().out
        shutil.rmtree(copy)
    assert len(set(found)) >= 3, found
