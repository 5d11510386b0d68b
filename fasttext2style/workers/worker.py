"""What runs in the process of one worker among several: a tool, asked by Ray. It needs no Ray itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from fasttext2style.workers.in_process import do_or_say_why
from fasttext2style.workers.pieces import Failed, Tool


@runtime_checkable
class Packed(Protocol):
    """A request on its way to a worker."""

    def request(self) -> Any: ...


@dataclass(frozen=True)
class AsItIs:
    """Packed by nothing."""

    content: Any

    def request(self) -> Any:
        return self.content


@dataclass(frozen=True)
class Loaded:
    """A worker is ready."""

    about: Any
    """What its tool says of itself."""


class Worker:
    """Holds one tool. Pieces are done one after the other; the group `tell` answers meanwhile."""

    def __init__(self, threads: int) -> None:
        self._threads, self._device = threads, ""
        self._tool: Tool | None = None
        self._is_fresh = True
        self._steps = (0, 0, 1)
        self._stopped = -1

    def load(self, load: Callable[[str], Tool], device: str) -> Loaded | str:
        """What the tool says of itself, or why there is none."""
        self._device = device
        torch.set_num_threads(self._threads)
        try:
            self._tool = load(device)
        except Exception as error:
            return " ".join(str(error).split()) or type(error).__name__
        return Loaded(self._tool.about)

    def do(self, number: int, packed: Packed, rows: list[int]) -> Any:
        """The answer, or `Failed`; `number` counts pieces, so that one can be named by `stop` and `steps`.

        Raises:
            torch.OutOfMemoryError: after pieces that had enough memory. Whoever takes the worker's place begins with
                all of it; a worker that never had enough stays, for the next one would not either.
        """
        assert self._tool is not None, "nothing is begun before load() has answered"
        # Each thread has a number of its own, and this is not the one that loaded torch.
        torch.set_num_threads(self._threads)
        request = packed.request()
        if len(rows) < len(request.part_ids):
            request = request.select(rows)

        def told(done: int, total: int) -> None:
            self._steps = (number, done, total)
            if number <= self._stopped:
                raise ValueError("stopped")

        outcome = do_or_say_why(self._tool, request, told)
        if isinstance(outcome, Failed) and self._device == "cuda":
            # After some errors a process can use its GPU no more: then this raises, and the worker is replaced.
            torch.cuda.synchronize()
        if isinstance(outcome, Failed) and outcome.out_of_memory and not self._is_fresh:
            raise torch.OutOfMemoryError(outcome.reason)
        self._is_fresh = self._is_fresh and isinstance(outcome, Failed)
        return outcome

    def steps(self) -> tuple[int, int, int]:
        """Number of the piece, steps done, of how many."""
        return self._steps

    def stop(self, number: int) -> None:
        """End this piece, and those before it, after the step that it is at."""
        self._stopped = number
