"""A session on one scene: select, edit, undo, save, in any order, while others look at it.

Anyone may `submit` jobs, from any thread; `run` does them one after the other in its own thread. No viewer here: the
panel is one listener, a test is another.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from fasttext2style.live.progress import Progress, Steps
from fasttext2style.live.scene import LiveScene

_AT_REST = 1.0
"""Seconds after which a slider has come to rest."""
_log = logging.getLogger(__name__)


@runtime_checkable
class Job(Protocol):
    """Something to do with the scene."""

    @property
    def title(self) -> str:
        """What is being done, for people: "Style: a bear made of gold"."""
        ...

    def run(self, scene: LiveScene, progress: Progress) -> str:
        """Do it and say what came of it. A ValueError is shown in words; the scene must then be as it was."""
        ...


@dataclass(frozen=True)
class Status:
    """What the session is doing."""

    job: str = ""
    """Title of the present job; empty when there is none."""
    steps: Steps = field(default_factory=Steps)
    """How far it is."""
    waiting: tuple[str, ...] = ()
    """Titles of the jobs that come next."""
    message: str = ""
    """What came of the last job, in words."""
    failed: bool = False
    """The message is an error."""
    paused: bool = False
    """The present job waits for `resume`."""


class LiveSession:
    """A queue of jobs for one scene."""

    def __init__(self, scene: LiveScene) -> None:
        self.scene = scene
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._stop = self._closing = self._paused = False
        self._status = Status()
        self._present: Job | None = None

    # --- for everyone, from any thread ------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        return self._status

    def submit(self, job: Job) -> None:
        """Do this job when those before it are done. Of sliders, only the last position waits; what changes the scene
        for some time is not begun again by the second press of a button."""
        with self._wake:
            if getattr(job, "once", False) and job == (self._jobs[-1] if self._jobs else self._present):
                return
            if getattr(job, "replaces_waiting", False):
                self._jobs = deque(other for other in self._jobs if type(other) is not type(job))
            self._jobs.append(job)
            self._wake.notify()
        self._update()

    def stop(self) -> None:
        """End the present job at its next step, keeping what it did, and forget those that wait."""
        with self._wake:
            self._jobs.clear()
            self._stop = bool(self._status.job)
        self.resume()

    def pause(self) -> None:
        """Let the present job wait at its next step, with all that it did; nothing is lost."""
        self._paused = bool(self._status.job)
        self._update(paused=self._paused)

    def resume(self) -> None:
        """Let it go on."""
        with self._wake:
            self._paused = False
            self._wake.notify_all()
        self._update(paused=False)

    def close(self) -> None:
        """Let `run` return; the present job ends at its next step. Only sets a flag: signal handlers may call it."""
        self._closing = True

    def say(self, message: str, failed: bool = False) -> None:
        """Tell everyone something that is not about a job."""
        self._update(message=message, failed=failed)

    # --- for the thread that runs it --------------------------------------------------------------------------------

    def run(self, idle: Callable[[], object] = lambda: None) -> None:
        """Do jobs until `close`. `idle` is called when there is nothing to do, several times a second."""
        while not self._closing:
            with self._wake:
                if not self._jobs:
                    self._wake.wait(timeout=0.2)
                job = self._jobs.popleft() if self._jobs and not self._closing else None
                if job is not None:  # said under the lock: a Stop from now on means this job
                    self._status, self._stop, self._present = Status(job=job.title), False, job
            self._write_desk()
            if job is None:
                self._settle()
                idle()
            else:
                self.do(job)
        self._write_desk()

    def do(self, job: Job) -> bool:
        """Do one job now; tells whether it succeeded. What went wrong is in the status, and fully in the log."""
        self._present = job
        self._update(job=job.title, message="", failed=False)
        progress = Progress(lambda steps: self._update(steps=steps), lambda: self._stop or self._closing, self._rest)
        try:
            if not getattr(job, "goes_on", False):
                self.scene.settle()
            message, failed = job.run(self.scene, progress), False
        except (ValueError, OSError) as error:  # an OSError names the file, and what is wrong with the disk
            message, failed = str(error), True
            if self.scene.gone not in message:
                message = f"{message.rstrip('.')}. {self.scene.gone}"
        except Exception as error:  # whatever a job does, the session goes on
            _log.exception("%s failed", job.title)
            message, failed = f"Unexpected {type(error).__name__}: {error}. See the terminal for details.", True
        if not getattr(job, "goes_on", False):
            gc.collect()  # optimizers and their hooks hold each other, and with them the object's tensors
        self._stop, self._paused, self._present = False, False, None
        self._update(job="", steps=Steps(), message=message, failed=failed, paused=False)
        return not failed

    def _settle(self) -> None:
        try:
            self.scene.settle(after=_AT_REST)
        except ValueError as error:
            self.say(str(error), failed=True)

    def _write_desk(self) -> None:
        try:
            self.scene.desk.write()
        except ValueError as error:
            self.say(str(error), failed=True)

    def _rest(self) -> float:
        """Wait as long as the job is paused; returns the seconds."""
        if not self._paused:
            return 0.0
        began = time.monotonic()
        with self._wake:
            while self._paused and not self._closing:
                self._wake.wait(timeout=0.2)  # `close` notifies nobody
        return time.monotonic() - began

    def _update(self, **changes: Any) -> None:
        with self._wake:
            waiting = tuple(job.title for job in self._jobs)
            self._status = replace(self._status, **changes, waiting=waiting)
        self.scene.tell("status")
