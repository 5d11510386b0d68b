"""Sentences tried by workers of Ray, for real: the same bits, whoever dies. A minute; run with -m workers."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time

import psutil
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


@pytest.fixture
def head(tmp_path):
    """Address of a Ray head on this machine that takes clients; the process can be ended."""
    folder = tempfile.mkdtemp(prefix="ft2s_head_", dir="/tmp")  # short: paths of sockets have 107 characters
    ports = [_free_port(), _free_port()]
    command = ["ray", "start", "--head", "--block", "--port", str(ports[0]), "--ray-client-server-port", str(ports[1])]
    command += ["--node-ip-address", "127.0.0.1", "--num-cpus", "1", "--include-dashboard", "false"]
    process = subprocess.Popen(
        [*command, "--temp-dir", folder, "--disable-usage-stats"],
        env=os.environ | {"RAY_enable_worker_prestart": "0", "RAY_prestart_worker_first_driver": "0"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 180
    try:
        while not _answers(ports[1]):
            assert process.poll() is None and time.monotonic() < deadline, "the head did not start"
            time.sleep(1)
        yield f"ray://127.0.0.1:{ports[1]}", process
    finally:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    """Above those that Ray gives to its workers, 10002 to 19999."""
    while True:
        with socket.socket() as it:
            it.bind(("127.0.0.1", 0))
            port = it.getsockname()[1]
        if port > 20000:
            return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def _end(process: subprocess.Popen) -> None:
    started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    for one in [process, *started]:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            one.kill()
    process.wait(30)


def test_a_cluster_is_reached_by_its_clients_address_and_one_that_goes_is_said_in_words(tmp_path, head):
    address, process = head
    theirs = ball_sweep(tmp_path / "one")
    theirs.run(lambda: InProcess(theirs.studio("cpu")))
    ours = ball_sweep(tmp_path / "two", PROMPTS[:1])
    ours.run(lambda: hire(read_workers(address), ours.studio, "cpu", "the encoder")[0])
    assert not ours.failed and _deltas(ours)[PROMPTS[0]] == _deltas(theirs)[PROMPTS[0]]
    again = ball_sweep(tmp_path / "two")

    def hired():
        crew = hire(read_workers(address), again.studio, "cpu", "the encoder")[0]
        _end(process)
        return crew

    with pytest.raises(ValueError, match=r"cannot be reached any more: .* What is complete is kept"):
        again.run(hired)
    assert [trial.prompt for trial in again.left] == list(PROMPTS[1:])
