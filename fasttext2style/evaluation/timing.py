"""Wall time per phase of a run, and its peak memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Seconds per named phase, and since it was made; a phase entered twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._made = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since this watch was made."""
        return time.perf_counter() - self._made

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def costs(watch: Stopwatch) -> dict[str, dict[str, float]]:
    """The parts of a report that tell of seconds, in all and per phase, and of memory."""
    seconds = {"total": watch.elapsed} | watch.seconds
    return {
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "peak_memory_gib": peak_memory_gib(),
    }


def peak_memory_gib() -> dict[str, float]:
    """The most memory that this process has held so far: on the host, and on the CUDA device if there is one."""
    peak = {"host": peak_host_bytes() / 2**30}
    if torch.cuda.is_available():
        peak["cuda"] = torch.cuda.max_memory_allocated() / 2**30
    return {name: round(gib, 3) for name, gib in peak.items()}


def peak_host_bytes() -> int:
    """Largest resident size of this process so far."""
    # Kibibytes on Linux, bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
