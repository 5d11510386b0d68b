"""How far a phase is: a bar on a terminal; in a log a few calm lines, further and further apart."""

from __future__ import annotations

import time
from collections import deque

from rich.progress import BarColumn, Progress, TextColumn

from fasttext2style.terminal.console import console, say
from fasttext2style.trust.text import on_terminal

FIRST_LINE_SECONDS = 10.0
"""When a log has its first line about a phase; the next one comes when twice as long has passed, and so on."""
KNOWN_SHARE, KNOWN_SECONDS = 0.05, 10.0
"""The time left is said after steady steps for this share of a cycle, or for so many seconds."""
WINDOW_SECONDS = 30.0
"""The latest steps tell how long the others will take: densification makes them slower."""


class TimeLeft:
    """The seconds that are left of a phase, from the moments at which its steps end.

    A phase may consist of cycles (rounds of edits), whose first step takes as long as many others: then nothing is
    known before the first cycle is over, but in the last one. The first step of all says nothing, for it compiles.
    """

    def __init__(self, total: int, start: int, cycle: int, now: float) -> None:
        """`start` of `total` steps were done before; a cycle has `cycle` steps, 0 if there is only one."""
        self.total, self.cycle = total, cycle or total
        self._cycle_ends = [(start, now)]
        self._steady: deque[tuple[int, float]] = deque()
        """Steps that are done, and since when; of one cycle, the oldest just before the window."""

    def step_ended(self, done: int, now: float) -> None:
        """`done` steps of the whole are done."""
        if done % self.cycle == 0:
            self._cycle_ends.append((done, now))
        if (done - 1) % self.cycle == 0:
            self._steady.clear()
        self._steady.append((done, now))
        while len(self._steady) > 2 and self._steady[1][1] <= now - WINDOW_SECONDS:
            self._steady.popleft()

    def seconds(self) -> float | None:
        """None while they are not known. 40 of 100 steps done, half a second each: 30."""
        if not self._steady:
            return None
        cycles_left, steps_left = divmod(self.total - self._steady[-1][0], self.cycle)
        cycle, step = self._seconds_of_a_cycle(), self._seconds_of_a_step()
        if (cycles_left and cycle is None) or (steps_left and step is None):
            return None
        return cycles_left * (cycle or 0.0) + steps_left * (step or 0.0)

    def _seconds_of_a_cycle(self) -> float | None:
        (first, began), (last, ended) = self._cycle_ends[0], self._cycle_ends[-1]
        return (ended - began) / (last - first) * self.cycle if last > first else None

    def _seconds_of_a_step(self) -> float | None:
        (first, began), (last, ended) = self._steady[0], self._steady[-1]
        known = last - first >= KNOWN_SHARE * self.cycle or ended - began >= KNOWN_SECONDS
        return (ended - began) / (last - first) if last > first and known else None


class PhaseProgress:
    """Progress of one phase. Use as a context manager; `update` after each step."""

    def __init__(self, phase: str, total: int, start: int = 0, cycle: int = 0, unit: str = "steps") -> None:
        """`phase` such as "Styling", of so many `unit`; for the others see `TimeLeft`."""
        self.phase, self.total, self.start, self.unit = phase, total, start, unit
        self.started = time.monotonic()
        self.time_left = TimeLeft(total, start, cycle, self.started)
        self._next_line = FIRST_LINE_SECONDS
        self._bar: Progress | None = None

    def __enter__(self) -> PhaseProgress:
        if not console.is_terminal:
            say(f"{self.phase} ({self.total:,} {self.unit})")
            return self
        columns = (
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.completed}/{task.total}{task.fields[note]}", markup=False),
        )
        self._bar = Progress(*columns, console=console, expand=True, refresh_per_second=4)
        self._bar.start()
        self._task = self._bar.add_task(on_terminal(self.phase), total=self.total, completed=self.start, note="")
        return self

    def update(self, step: int, loss: float | str) -> None:
        """Step `step` (counted from 0) is done with this loss, or with these words."""
        done, now = step + 1, time.monotonic()
        self.time_left.step_ended(done, now)
        note = f", {loss}" if isinstance(loss, str) else f", loss {loss:.4f}"
        if done == self.total:
            note += f", {in_words(now - self.started)}"
        elif (left := self.time_left.seconds()) is not None:
            note += f", about {in_words(left)} left"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
        elif done == self.total or self._line_is_due(now):
            say(f"{self.phase}: {done:,} of {self.total:,} {self.unit}{note}")

    def part_of_step(self, what: str, done: int, total: int) -> None:
        """A step takes long: `done` of `total` parts of `what` are done."""
        if self._bar is not None:
            self._bar.update(self._task, note=f", {on_terminal(what)} {100 * done // total} %")
        elif self._line_is_due(time.monotonic()):
            say(f"{self.phase}: {what} {100 * done // total} %")

    def stop(self) -> None:
        """The phase is over: what is printed now has the terminal for itself."""
        if self._bar is not None:
            self._bar.stop()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _line_is_due(self, now: float) -> bool:
        passed = now - self.started
        if passed < self._next_line:
            return False
        self._next_line = 2 * passed
        return True


def in_words(seconds: float) -> str:
    """About 100 s and more become minutes, about 100 minutes and more hours: "4 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
