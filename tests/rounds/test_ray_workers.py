"""Edits by workers of Ray, for real: the same bits, whoever dies. A minute each; run with -m workers."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from fasttext2style.editors.editor import ImageEditor
from fasttext2style.editors.load import load_editor
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.targets import EditConfig
from fasttext2style.rounds.workers import hire_editors
from fasttext2style.workers.choice import WorkersChoice, read_workers
from fasttext2style.workers.ray_folder import PREFIX
from tests.rounds.balls import ball_rounds, parameters, run

pytestmark = pytest.mark.workers
if importlib.util.find_spec("ray") is None:
    pytest.skip('Ray is not installed: pip install "fasttext2style[workers]"', allow_module_level=True)

BATCH = 3
"""Ten views are four pieces."""


@pytest.fixture(autouse=True)
def _room():
    yield
    import ray

    ray.shutdown()


def _hired(choice: WorkersChoice, editor: str, **settings):
    return hire_editors(choice, partial(load_editor, editor, batch_size=BATCH, **settings), "cpu", editor)


def _rounds(folder: Path, editor: ImageEditor, on_edit_step=None, overlap=0.0):
    config = RoundsConfig(Schedule(rounds=2, steps=3, overlap=overlap), EditConfig(steps=3))
    rounds = ball_rounds(folder, editor, config=config, on_edit_step=on_edit_step)
    rounds.start()
    return run(rounds)


def _pictures(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def _edits(rounds):
    return [edit for entry in rounds.folder.rounds()[1:] for edit in entry.manifest["edits"]]


def _assert_same(ours, theirs, folders):
    for name, value in parameters(ours).items():
        assert torch.equal(value, parameters(theirs)[name]), name
    pictures = [_pictures(folder) for folder in folders]
    assert pictures[0] and pictures[0] == pictures[1]


def _listening_elsewhere(processes: list[psutil.Process]) -> list[str]:
    """Addresses at which they listen that other machines could reach."""
    return [
        f"{process.name()} {connection.laddr.ip}:{connection.laddr.port}"
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
        and not connection.laddr.ip.removeprefix("::ffff:").startswith("127.")
    ]


def _assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


def test_two_workers_give_the_bits_of_one_and_leave_nothing(tmp_path, capsys):
    """With the packaged editor, over two rounds: the second starts from what the first one trained."""
    theirs = _rounds(tmp_path / "one", load_editor("tiny", batch_size=BATCH))
    home = Path.home() / ".ray"
    before, was_there = set(psutil.Process().children(recursive=True)), home.exists()
    workers = _hired(read_workers("2"), "tiny")
    started = [process for process in psutil.Process().children(recursive=True) if process not in before]
    assert not _listening_elsewhere(started)
    told = []
    ours = _rounds(tmp_path / "two", workers, lambda done, total: told.append(done / total))
    assert (workers.name, workers.count) == ("tiny", 2)
    workers.close()
    _assert_same(ours, theirs, (tmp_path / "two", tmp_path / "one"))
    assert told and all(0 <= share <= 1 for share in told)
    assert all(not edit["failed"] and "done_again" not in edit["editor"] for edit in _edits(ours))
    _assert_gone(started)
    assert home.exists() == was_there and not list(Path("/tmp").glob("ft2s_ray_*"))
    said = capsys.readouterr().out
    assert "Starting Ray" in said and "2 workers" in said


def test_workers_edit_the_next_rounds_views_beside_the_training(tmp_path, monkeypatch):
    """The same bits as in one process, which edits them when they are wanted; and some are there before the second
    round begins, although nobody waited for them."""
    import ray

    theirs = _rounds(tmp_path / "one", load_editor("tests.rounds.editors:Noisy", batch_size=BATCH), overlap=1.0)
    workers = _hired(read_workers("2"), "tests.rounds.editors:Noisy", seconds=0.2)
    config = RoundsConfig(Schedule(rounds=2, steps=3, overlap=1.0), EditConfig(steps=3))
    ours = ball_rounds(tmp_path / "two", workers, config=config)
    ours.start()
    waits, asks, looking, came, after_steps = workers._crew.wait, ray.wait, [], [], []

    def wait(patient=True):
        looking.append(not patient)
        ended = waits(patient)
        if looking.pop():
            came.extend(ended)
        return ended

    def ask(refs, *, timeout):
        assert timeout == 0 or not any(looking), "who trains does not wait for workers"
        return asks(refs, timeout=timeout)

    def after_step():
        after_steps.append(len(came))
        time.sleep(1.0)

    monkeypatch.setattr(workers._crew, "wait", wait)
    monkeypatch.setattr(ray, "wait", ask)
    run(ours, after_step=after_step)
    workers.close()
    _assert_same(ours, theirs, (tmp_path / "two", tmp_path / "one"))
    assert after_steps[2] > 0, "after the third step, the last before the second round begins"


@pytest.mark.parametrize("of", ["SIGKILL", "memory"])
def test_a_worker_that_dies_is_replaced_and_a_view_that_kills_keeps_its_last_target(tmp_path, of):
    """View 5 kills once, view 8 always; their neighbours come out as if nothing had been."""
    (tmp_path / "two").mkdir()
    theirs = ball_rounds(tmp_path / "one", load_editor("tests.rounds.editors:Noisy", batch_size=BATCH))
    theirs.start()
    theirs.begin_step()
    workers = _hired(read_workers("2"), "tests.rounds.editors:Mortal", folder=str(tmp_path / "two"), of=of)
    ours = ball_rounds(tmp_path / "rounds", workers)
    ours.start()
    ours.begin_step()
    for view in range(10):
        if view != 8:
            assert torch.equal(ours.targets[view].image, theirs.targets[view].image), view
    assert torch.equal(ours.targets[8].image, ours.views.photographs[8]), "there was no earlier target"
    (edit,) = ours._manifest["edits"]
    # Where view 5 finds too little memory the editor itself goes on with fewer views at once.
    words, again = ("A worker died", range(3, 9)) if of == "SIGKILL" else (".* memory", range(6, 9))
    assert list(edit["failed"]) == [8] and sorted(edit["editor"]["done_again"]) == list(again)
    assert all(re.match(words, why) for why in [edit["failed"][8], *edit["editor"]["done_again"].values()])
    # Two at first; one for each death: of view 5, of view 8 with its neighbours twice, and alone. Who lacks memory and
    # has edited nothing yet stays.
    assert (4 if of == "SIGKILL" else 3) <= len(list((tmp_path / "two").glob("loaded_*"))) <= 6
    assert edit["editor"]["threads"] == max(1, (os.cpu_count() or 1) // 2)
    workers.close()


def test_a_machine_that_goes_in_the_middle_of_a_round_takes_no_view_with_it(tmp_path):
    import ray
    from ray.cluster_utils import Cluster

    theirs = ball_rounds(tmp_path / "one", load_editor("tests.rounds.editors:Noisy", batch_size=BATCH))
    theirs.start()
    theirs.begin_step()
    # 127.0.0.1 would be taken for the address in the local network, at which this cluster does not listen.
    options = {"num_cpus": 1, "include_dashboard": False, "node_ip_address": "127.0.0.2"}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    try:
        # Connected while there is one machine: of two at one address Ray takes any, and that one may not be killed.
        ray.init(address=cluster.address, _node_ip_address="127.0.0.2", log_to_driver=False)
        second = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.2")
        cluster.wait_for_nodes()
        workers = _hired(WorkersChoice(address=cluster.address), "tests.rounds.editors:Noisy", seconds=2.0)
        assert workers.count == 2
        killed = []

        def kill_once(done, total):
            if not killed:
                killed.append(done / total)
                cluster.remove_node(second, allow_graceful=False)

        ours = ball_rounds(tmp_path / "two", workers, on_edit_step=kill_once)
        ours.start()
        ours.begin_step()
        assert killed and killed[0] < 0.5
        for view in range(10):
            assert torch.equal(ours.targets[view].image, theirs.targets[view].image), view
        (edit,) = ours._manifest["edits"]
        assert not edit["failed"]
        deadline = time.monotonic() + 60
        while sum(node["Alive"] for node in ray.nodes()) > 1:
            assert time.monotonic() < deadline, "the killed machine still counts as there"
            time.sleep(1)
        workers.close()
    finally:
        ray.shutdown()
        cluster.shutdown()


INTERRUPTED = """
import time
from pathlib import Path
from tests.rounds.balls import ball_rounds, run
from tests.rounds.test_ray_workers import EditConfig, RoundsConfig, Schedule, _hired, read_workers
def after_step():
    print("TRAINING", flush=True)
    time.sleep(60)
rounds = ball_rounds(Path({folder!r}), _hired(read_workers("2"), "tests.rounds.editors:Noisy", seconds={seconds}),
                     config=RoundsConfig(Schedule(rounds=2, steps=3, overlap=1.0), EditConfig(steps=3)),
                     on_edit_step=lambda done, total: print("EDITING", flush=True))
rounds.start()
run(rounds, after_step=after_step)
"""


@pytest.mark.parametrize(("amid", "seconds"), [("EDITING", 20.0), ("TRAINING", 4.0)])
def test_ctrl_c_amid_an_edit_or_an_overlap_ends_workers_and_ray(tmp_path, amid, seconds):
    """As a terminal does it: every process of the group gets the signal."""
    script = INTERRUPTED.format(folder=str(tmp_path / "rounds"), seconds=seconds)
    temporary = Path(tempfile.mkdtemp(dir="/tmp"))  # short: sockets lie in it
    # Who runs these tests in the background has SIGINT ignored, and children inherit that.
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    try:
        assert any(amid in line for line in process.stdout)
        started = psutil.Process(process.pid).children(recursive=True)
        assert sum("ray::Worker" in one.name() for one in started) == 2
        assert len(list(temporary.glob(f"{PREFIX}*"))) == 1
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) != 0
        _assert_gone(started)
        assert not list(temporary.glob(f"{PREFIX}*"))
    finally:
        process.kill()
        shutil.rmtree(temporary, ignore_errors=True)
