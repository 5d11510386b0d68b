"""One line that says what is happening: phase, step, loss, time left. A bar on a terminal, calm lines in a log."""

from __future__ import annotations

import time

from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0


class PhaseProgress:
    """Progress of one phase. Use as a context manager; `update` after each step."""

    def __init__(self, phase: str, total: int, start: int = 0) -> None:
        self.phase, self.total, self.start = phase, total, start
        self.started = self.last_line = time.monotonic()
        self.bar: Progress | None = None

    def __enter__(self) -> PhaseProgress:
        if CONSOLE.is_terminal:
            self.bar = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}  loss {task.fields[loss]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=CONSOLE,
            )
            self.bar.start()
            self.task = self.bar.add_task(self.phase, total=self.total, completed=self.start, loss="-")
        else:
            CONSOLE.print(f"{self.phase}: {self.total} steps")
        return self

    def update(self, step: int, loss: float) -> None:
        """Step `step` (counted from 0) is done with this loss."""
        if self.bar is not None:
            self.bar.update(self.task, completed=step + 1, loss=f"{loss:.4f}")
            return
        now = time.monotonic()
        if now - self.last_line >= _SECONDS_BETWEEN_LINES or step + 1 == self.total:
            done = step + 1 - self.start
            left = (now - self.started) / max(done, 1) * (self.total - step - 1)
            CONSOLE.print(f"{self.phase}: step {step + 1}/{self.total}  loss {loss:.4f}  about {left:.0f} s left")
            self.last_line = now

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
