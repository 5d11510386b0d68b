"""Sentences tried by workers of Ray, for real: the same bits, whoever dies. A minute; run with -m workers."""

from __future__ import annotations

import importlib.util

import pytest

from fasttext2style.workers.choice import read_workers
from fasttext2style.workers.hiring import hire
from fasttext2style.workers.in_process import InProcess
from tests.sweeps.balls import PROMPTS, ball_sweep, how_to_style
from tests.sweeps.encoders import DEADLY

pytestmark = pytest.mark.workers
if importlib.util.find_spec("ray") is None:
    pytest.skip('Ray is not installed: pip install "fasttext2style[workers]"', allow_module_level=True)


@pytest.fixture(autouse=True)
def _room():
    yield
    import ray

    ray.shutdown()


def _deltas(sweep) -> dict[str, bytes]:
    return {step.prompt: (step.folder / "delta.safetensors").read_bytes() for step in sweep.history.steps}


def test_a_worker_that_dies_in_the_middle_of_a_sweep_is_replaced_and_the_bits_are_those_of_one_process(
    tmp_path, capsys
):
    """The sentence that kills is tried again by another one; nothing is tried twice but that."""
    assert DEADLY in PROMPTS
    theirs = ball_sweep(tmp_path / "one")
    theirs.run(lambda: InProcess(theirs.studio("cpu")))
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    ours = ball_sweep(tmp_path / "two", how=how_to_style("tests.sweeps.encoders:Mortal", str(deaths)))
    ours.run(lambda: hire(read_workers("2"), ours.studio, "cpu", "the encoder")[0])
    assert not ours.failed and not ours.left
    assert _deltas(ours) == _deltas(theirs)
    assert (deaths / "killed").exists() and len(list(deaths.glob("loaded_*"))) == 3
    said = capsys.readouterr().out
    assert "A worker died. Another worker takes its place" in said
    assert f'"{DEADLY}"' in said and "(done again: A worker died)" in said
