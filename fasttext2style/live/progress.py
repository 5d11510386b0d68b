"""What a job that takes its time is given: it says how far it is, and asks whether it should end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class Steps:
    """How far a job is."""

    done: int = 0
    total: int = 0
    """0 where they cannot be counted."""
    doing: str = "step"
    """What is counted."""
    seconds_left: float | None = None


class Progress:
    """Of one job.

    Args:
        tell: called with how far it is, at most a few times a second.
        stopping: tells whether somebody wants the job to end.
        rest: returns when the job may go on (at once, unless somebody wants it to pause), and how long it waited.
    """

    def __init__(
        self, tell: Callable[[Steps], None], stopping: Callable[[], bool], rest: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._tell, self._stopping, self._rest = tell, stopping, rest
        self._started = self._last = 0.0

    @property
    def stopping(self) -> bool:
        """Somebody pressed Stop, or the session ends: keep what was done and return."""
        return self._stopping()

    def report(self, done: int, total: int, doing: str = "step") -> None:
        """So many steps are done; the time left is counted anew from step 0. While the job is paused it stays here."""
        self._started += self._rest()
        now = time.monotonic()
        if done == 0:
            self._started = now
        elif now - self._last < _SECONDS_BETWEEN_REPORTS and done < total:
            return
        self._last = now
        left = (now - self._started) / done * (total - done) if done else None
        self._tell(Steps(done, total, doing, left))
