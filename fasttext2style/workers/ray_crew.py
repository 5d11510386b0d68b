"""Workers that are actors of Ray: on this machine, or on those of a cluster. Ray is imported here and nowhere else.

`hiring.py` prepares the environment, which Ray reads when it is imported: so nobody else imports this file.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import RayError

from fasttext2style.terminal.console import say, warn
from fasttext2style.workers.choice import WorkersChoice
from fasttext2style.workers.pieces import Failed, OnStep, Tool
from fasttext2style.workers.ray_folder import RayFolder
from fasttext2style.workers.worker import Loaded, Packed, Worker

POLL_SECONDS = 0.5
"""How often workers are asked how far they are."""
START_SECONDS = 900.0
"""Workers that are not ready by then will never be: loading a large network from a cold disk takes minutes."""
ANSWER_SECONDS = 5.0
"""A head that does not take a connection within this time is not there."""


@dataclass(frozen=True)
class Place:
    """What of Ray is at hand, and what each worker gets of it."""

    count: int
    threads: int
    device: str
    where: str
    """In words."""
    is_connected_here: bool = True
    """The connection was made for this run, and ends with it."""
    folder: RayFolder | None = None
    """Of a Ray that was started for this run, which goes with it."""


@dataclass
class _Begun:
    ref: Any
    number: int
    on_step: OnStep | None
    asked: Any = None
    """The question how far it is, while that is open."""


class WorkerActor(Worker):
    """Answers while it is at work. A client (ray://) cannot choose the group when it calls, so the methods say it."""

    @ray.method(concurrency_group="tell")
    def steps(self) -> tuple[int, int, int]:
        return super().steps()

    @ray.method(concurrency_group="tell")
    def stop(self, number: int) -> None:
        super().stop(number)


class RayCrew:
    """A `Crew` of actors, one per worker."""

    def __init__(self, place: Place, load: Callable[[str], Tool], name: str, pack: Callable[[Any], Packed]) -> None:
        self._place, self._name, self._pack = place, name, pack
        self._load = ray.put(load)  # once: it may hold a scene
        remote: Any = ray.remote  # its types know no groups
        self._actor_class = remote(concurrency_groups={"tell": 1})(WorkerActor).options(
            num_cpus=place.threads,
            num_gpus=1 if place.device == "cuda" else 0,
            max_restarts=0,
            scheduling_strategy="SPREAD",
        )
        self._actors: dict[int, Any] = {}
        self._loading: dict[int, Any] = {}
        self._since = time.monotonic()
        """When somebody was busy last."""
        self._begun: dict[int, _Begun] = {}
        self._count_begun = 0
        self._is_closed = False
        atexit.register(self.close)
        for worker in range(place.count):
            self._start(worker)

    @property
    def count(self) -> int:
        return len(self._actors)

    def await_start(self) -> Any:
        """Until every worker has loaded its tool, or cannot; what that says of itself.

        Raises:
            ValueError: none could.
        """
        count = self._place.count
        who = "1 worker" if count == 1 else f"{count} workers"
        say(f"Waiting for {who} {self._place.where} to load {self._name}: it may take minutes when all is cold")
        said, reason = time.monotonic(), ""
        known: Loaded | None = None
        while self._loading:
            for worker, outcome in self._loaded(POLL_SECONDS):
                if isinstance(outcome, Loaded):
                    known = outcome
                else:
                    reason = outcome
                    self._drop(worker)
            if time.monotonic() > said + 15:
                said = time.monotonic()
                say(f"{len(self._actors) - len(self._loading)} of {who} are ready")
            if time.monotonic() > self._since + START_SECONDS:
                reason = reason or f"not ready after {START_SECONDS / 60:.0f} minutes"
                for worker in list(self._loading):
                    self._drop(worker)
        if known is None:
            raise ValueError(f"No worker could load {self._name}: {reason}")
        if reason:
            warn(f"Only {len(self._actors)} of {who} could load {self._name} and go on alone: {reason}")
        return known.about

    def hand_in(self, request: Any) -> Any:
        packed = self._pack(request)
        with self._connected():
            return ray.put(packed)

    def handed_in(self, piece: Any) -> Any:
        with self._connected():
            packed: Any = ray.get(piece)
        return packed.request()

    def free(self) -> list[int]:
        return [worker for worker in self._actors if worker not in self._loading and worker not in self._begun]

    def begin(self, worker: int, piece: Any, rows: list[int], on_step: OnStep | None) -> None:
        self._count_begun += 1
        with self._connected():
            ref = self._actors[worker].do.remote(self._count_begun, piece, rows)
        self._begun[worker] = _Begun(ref, self._count_begun, on_step)

    def wait(self, patient: bool = True) -> list[tuple[int, Any]]:
        with self._connected():
            return self._ended(POLL_SECONDS if patient else 0.0)

    def _ended(self, timeout: float) -> list[tuple[int, Any]]:
        for worker, outcome in self._loaded(0.0):
            if not isinstance(outcome, Loaded):
                warn(f"A worker could not be replaced: {outcome}")
                self._drop(worker)
        if not self._begun:
            if not self._actors:
                raise ValueError("No worker is left. What is complete is kept: go on with fewer workers.")
            if not self._loading:
                return []
            if time.monotonic() > self._since + START_SECONDS:
                raise ValueError(
                    f"No worker was ready after {START_SECONDS / 60:.0f} minutes. What is complete is kept."
                )
            time.sleep(timeout)
            return []
        self._since = time.monotonic()
        refs = {begun.ref: worker for worker, begun in self._begun.items()}
        ready, _ = ray.wait(list(refs), timeout=timeout)
        self._ask_how_far()
        return [(refs[ref], self._outcome(refs[ref])) for ref in ready]

    def stop(self) -> None:
        # What is begun next waits behind what was begun, whose outcome is nobody's.
        begun, self._begun = self._begun, {}
        with suppress(ConnectionError):
            for worker, it in begun.items():
                self._actors[worker].stop.remote(it.number)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        if ray.is_initialized():
            with suppress(ConnectionError):
                for worker in list(self._actors):
                    self._drop(worker)
            if self._place.is_connected_here:
                ray.shutdown()
        if self._place.folder is not None:
            self._place.folder.remove()

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except ConnectionError as error:  # of a client (ray://), whose head has gone
            raise ValueError(
                f"The workers {self._place.where} cannot be reached any more: the head of the cluster has gone, or the "
                "network. What is complete is kept: start it again and go on, or go on without --workers."
            ) from error

    def _start(self, worker: int) -> None:
        self._actors[worker] = actor = self._actor_class.remote(self._place.threads)
        self._loading[worker] = actor.load.remote(self._load, self._place.device)

    def _drop(self, worker: int) -> None:
        ray.kill(self._actors.pop(worker))
        self._loading.pop(worker, None)
        self._begun.pop(worker, None)

    def _loaded(self, timeout: float) -> list[tuple[int, Loaded | str]]:
        """Those that have loaded their tool, or failed, since this was asked last."""
        if not self._loading:
            return []
        refs = {ref: worker for worker, ref in self._loading.items()}
        ready, _ = ray.wait(list(refs), timeout=timeout)
        found = []
        for ref in ready:
            worker = refs[ref]
            del self._loading[worker]
            try:
                found.append((worker, ray.get(ref)))
            except RayError as error:
                found.append((worker, _in_words(error)))
        return found

    def _outcome(self, worker: int) -> Any:
        begun = self._begun.pop(worker)
        outcome: Any
        try:
            outcome = ray.get(begun.ref)
        except RayError as error:
            outcome = Failed(_in_words(error))
            warn(f"{outcome.reason}. Another worker takes its place, and what it was at is done again")
            ray.kill(self._actors[worker])
            self._start(worker)
        return outcome

    def _ask_how_far(self) -> None:
        """Of those who answer: who is busy with a long step answers later."""
        for worker, begun in self._begun.items():
            if begun.on_step is None:
                continue
            if begun.asked is not None and ray.wait([begun.asked], timeout=0)[0]:
                try:
                    number, done, total = ray.get(begun.asked)
                except RayError:
                    continue  # what it was at says so, too
                begun.asked = None
                if number == begun.number:
                    begun.on_step(done, total)
            if begun.asked is None:
                begun.asked = self._actors[worker].steps.remote()


def _in_words(error: RayError) -> str:
    """Which of Ray's errors it is, in a line; their own texts are pages, with paths of logs."""
    kinds = {
        "OutOfMemoryError": "A worker ran out of memory",
        "ActorDiedError": "A worker died",
        "ActorUnavailableError": "A worker cannot be reached",
        "ObjectLostError": "A worker died before its answer was fetched",
        "OwnerDiedError": "A worker died before its answer was fetched",
        "ObjectStoreFullError": "There is no room for its answer in Ray's shared memory",
    }
    for kind in type(error).__mro__:
        if kind.__name__ in kinds:
            return kinds[kind.__name__]
    return f"A worker failed ({type(error).__name__})"


# --- Ray itself ---------------------------------------------------------------------------------------------------


def connected(choice: WorkersChoice, device: str) -> Place:
    """Start Ray here, or connect to where it is.

    Raises:
        ValueError: that cannot be done, or this machine has too little for so many workers.
    """
    if choice.address:
        return _cluster(choice.address)
    cores = os.cpu_count() or 1
    if device == "cuda" and choice.count > torch.cuda.device_count():
        raise ValueError(
            f"--workers {choice.count}: each takes a GPU, and this machine has {torch.cuda.device_count()}."
        )
    if choice.count > cores:
        raise ValueError(f"--workers {choice.count}: each takes a core, and this machine has {cores}.")
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = min(cores // choice.count, int(wanted) if wanted.isdecimal() and int(wanted) else cores)
    return _start_here(choice.count, threads, device)


def _start_here(count: int, threads: int, device: str) -> Place:
    folder = RayFolder()
    say("Starting Ray: up to a minute on a busy machine")
    try:
        ray.init(
            address="local",
            num_cpus=count * threads,
            num_gpus=count if device == "cuda" else 0,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(folder.path),
        )
    except Exception as error:
        folder.remove()
        raise ValueError(f"Ray could not be started ({_first_line(error)}): leave --workers out.") from error
    return Place(count, threads, device, "on this machine", folder=folder)


def _cluster(address: str) -> Place:
    _check_answers(address)
    say(f"Connecting to Ray at {address}")
    is_new = not ray.is_initialized()
    try:
        if is_new:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    except Exception as error:
        raise ValueError(
            f"Ray at {address} cannot be used ({_first_line(error)}). It takes the same versions of Ray and of Python "
            "on all machines; see docs/workers.md."
        ) from error
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if gpus:
        return Place(gpus, 1, "cuda", f"of {address}", is_new)
    threads = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    if not threads:
        raise ValueError(f"Ray at {address} has neither GPUs nor CPUs to give.")
    return Place(len(threads), min(threads), "cpu", f"of {address}", is_new)


def _check_answers(address: str) -> None:
    """Raises ValueError when nothing listens there; Ray itself would try for half a minute and say less."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise ValueError(
            f"--workers {address}: nothing answers there ({error}). Start it with:  ray start --head --port 6379 "
            "--ray-client-server-port 10001"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
