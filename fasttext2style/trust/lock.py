"""One writer per run: whoever changes a run's files holds a lock of the operating system, which ends with its process.

    RUN/.lock        what is locked (flock); it stays, empty or not, and means nothing by itself
    RUN/.lock.json   who holds it, for people; left behind by a program that was killed, and then not believed

Disks that know no flock (some network disks) get filelock's marker in its place, which names host and process.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
import time
import weakref
from pathlib import Path
from shlex import join

from filelock import FileLock, Timeout

from fasttext2style.trust.typed import expanded

WAIT_SECONDS = 1.0
"""How long a writer waits for another one: single changes take less, sessions and trainings much longer."""


class WriteLock:
    """The right to change the files of a run, for this process and all of its threads; taken by making one.

    Holders in one process share it: it is given back when the last of them has called `release`, left its `with`, or
    was collected.

    Raises:
        ValueError: another process holds it, and who that is; or the folder cannot be written.
    """

    def __init__(self, run: Path | str, wait_seconds: float | None = None) -> None:
        self.run = expanded(run).absolute()
        _take(self.run, WAIT_SECONDS if wait_seconds is None else wait_seconds)
        self.release = weakref.finalize(self, _give_back, str(self.run.resolve()), os.getpid())
        """Give it back; a second time it does nothing."""

    def __enter__(self) -> WriteLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder(run: Path) -> str:
    """Who said last that they hold the lock of a run, in words; believe it only while the lock is taken."""
    try:
        with open(Path(run) / ".lock.json", "rb") as stream:
            said = json.loads(stream.read(10_000))
        return f"process {int(said['pid'])} on {said['host']}, since {said['since']}: {said['command']}"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "who that is could not be read"


_held: dict[str, tuple[int, FileLock, int]] = {}
"""Run -> process, lock, and how many hold it."""
_guard = threading.RLock()
"""Reentrant: a holder may be collected, and so give back, at any moment."""


def _take(run: Path, wait_seconds: float) -> None:
    key, pid = str(run.resolve()), os.getpid()
    with _guard:
        process, lock, holders = _held.get(key, (0, None, 0))
        # A forked child holds nothing: the lock is its parent's.
        if lock is not None and process == pid:
            _held[key] = (pid, lock, holders + 1)
            return
        lock = FileLock(run / ".lock", thread_local=False)
        try:
            run.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=wait_seconds, poll_interval=0.05)
        except Timeout:
            raise ValueError(
                f"{run} is being changed by another program ({holder(run)}). Nothing was changed: wait for it, or end "
                "it, and try again."
            ) from None
        except (OSError, NotImplementedError) as error:
            raise ValueError(f"{run} cannot be written ({error}), so nothing in it can be changed.") from error
        _held[key] = (pid, lock, 1)
        _say_who(run)


def _give_back(key: str, pid: int) -> None:
    with _guard:
        process, lock, holders = _held.get(key, (0, None, 0))
        if lock is None or process != pid or pid != os.getpid():
            return
        if holders > 1:
            _held[key] = (pid, lock, holders - 1)
            return
        del _held[key]
        # Before the lock: afterwards it would be the next one's.
        _silently_unlink(Path(key) / ".lock.json")
        lock.release()


def _say_who(run: Path) -> None:
    """For the reader alone: on a full disk the lock is held without a name."""
    command = join([Path(sys.argv[0] or sys.executable).name, *sys.argv[1:]])[:300]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    said = {"pid": os.getpid(), "host": platform.node(), "since": since, "command": command}
    path = run / ".lock.json"
    _silently_unlink(path)
    try:
        # x: a link that somebody laid there is not followed.
        with open(path, "x", encoding="utf8") as stream:
            stream.write(json.dumps(said) + "\n")
    except OSError:
        _silently_unlink(path)


def _silently_unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # it says who held the lock once, and is not believed when nobody does
