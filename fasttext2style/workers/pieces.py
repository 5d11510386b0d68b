"""Pieces of work, handed out to workers: who is free gets the next one, and what was lost is done again.

A piece that fails (its tool raised, or its worker died) is done once more as it was: for most deaths are not the
piece's fault, and its answer is then the same as without. If it fails again, its parts are tried one by one, and those
that fail alone are given up, with the reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

OnStep = Callable[[int, int], None]
"""Called with steps done and their total."""
TRIES = 2
"""Of a piece, and of a part that failed in one: then alone, once."""


@runtime_checkable
class Request(Protocol):
    """Something to do, of parts that could also be done one by one: views to edit, a sentence to try."""

    @property
    def part_ids(self) -> tuple[int, ...]:
        """Names of its parts."""
        ...

    def select(self, rows: Sequence[int]) -> Any:
        """The same for some of its parts."""
        ...


@runtime_checkable
class Tool(Protocol):
    """What a worker has loaded, and does requests with."""

    @property
    def about(self) -> Any:
        """What whoever hands out pieces needs to know of it; it travels from the worker's process."""
        ...

    def do(self, request: Any, /, on_step: OnStep | None = None) -> Any:
        """The answer to a request. What is raised costs the parts of the request, not the work."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Failed:
    """A piece was not done."""

    reason: str
    """In words, in one line."""
    out_of_memory: bool = False


@dataclass
class Done:
    """What came of a piece."""

    handed_in: Any
    """The piece, as the crew's `hand_in` made it."""
    answers: list[tuple[list[int], Any]] = field(default_factory=list)
    """Rows of its parts and the answer to them: one for all of them unless something failed."""
    failed: dict[int, str] = field(default_factory=dict)
    """Row -> why it was given up."""
    done_again: dict[int, str] = field(default_factory=dict)
    """Part's name -> what had happened."""


class NothingDone(ValueError):
    """A whole piece failed before anything came out well: its parts, and why."""

    def __init__(self, parts: int, reasons: str) -> None:
        super().__init__(f"None of the first {parts} could be done: {reasons}")
        self.parts, self.reasons = parts, reasons


@runtime_checkable
class Crew(Protocol):
    """Workers with the same tool, numbered from 0. A `piece` is what `hand_in` made of a request."""

    @property
    def count(self) -> int:
        """Workers that do something, or soon will."""
        ...

    def hand_in(self, request: Any) -> Any:
        """Put a request where every worker can take it from."""
        ...

    def handed_in(self, piece: Any) -> Any:
        """The request again."""
        ...

    def free(self) -> list[int]:
        """Those that could begin now."""
        ...

    def begin(self, worker: int, piece: Any, rows: list[int], on_step: OnStep | None) -> None:
        """Have a free worker do some parts of a piece; `on_step` is called during `wait`."""
        ...

    def wait(self, patient: bool = True) -> list[tuple[int, Any]]:
        """Wait a moment, or until somebody has ended: worker and answer, or `Failed`. A worker that died is replaced
        meanwhile. Without patience only a look at who has ended; whoever works in this process has not even begun.

        Raises:
            ValueError: there is nobody to wait for, nor will there be.
        """
        ...

    def stop(self) -> None:
        """Nobody waits for what was begun."""
        ...

    def close(self) -> None: ...


def always() -> bool:
    """The patience of who has nothing else to do."""
    return True


def do_pieces(
    crew: Crew, requests: Iterable[Any], parts: int, on_step: OnStep | None = None, needs_one: bool = True
) -> Generator[tuple[int, Done], None, None]:
    """The number of each request, from 0, and what came of it, as they end; the next one is taken when one is free.

    Args:
        parts: of all requests together, for the progress.
        on_step: called with (done, total) steps of all of them; what it raises ends everything.
        needs_one: what fails from the beginning will go on failing.

    Raises:
        NothingDone: the first piece failed as a whole, and it `needs_one`.
        ValueError: no worker is left.
    """
    with closing(watch_pieces(crew, requests, parts, on_step, needs_one)) as looks:
        for ended in looks:
            if ended is not None:
                yield ended


def watch_pieces(
    crew: Crew,
    requests: Iterable[Any],
    parts: int,
    on_step: OnStep | None = None,
    needs_one: bool = True,
    is_patient: Callable[[], bool] = always,
) -> Generator[tuple[int, Done] | None, None, None]:
    """`do_pieces` for who has something else to do: while not `is_patient`, None comes whenever one would wait."""
    work = _Work(crew, iter(requests), parts, on_step, needs_one)
    try:
        while work.hand_out():
            patient = is_patient()
            yield from work.take_in(patient)
            if not patient:
                yield None
    except _Ended as ended:
        raise ended.error from None
    finally:
        crew.stop()


@dataclass
class _Piece(Done):
    place: int = 0
    part_ids: tuple[int, ...] = ()

    @property
    def is_done(self) -> bool:
        return sum(len(rows) for rows, _ in self.answers) + len(self.failed) == len(self.part_ids)


@dataclass
class _Task:
    """Some parts of a piece, which one worker does."""

    piece: _Piece
    rows: list[int]
    failures: int = 0


class _Ended(BaseException):
    """`on_step` raised: no tool's `except Exception` shall take that for a failure of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Work:
    """What is to be done, who does it, and how far all of it is."""

    def __init__(
        self, crew: Crew, requests: Iterator[Any], parts: int, on_step: OnStep | None, needs_one: bool
    ) -> None:
        self._crew, self._requests, self._parts, self._on_step = crew, requests, parts, on_step
        self._taken, self._all_taken = 0, False
        self._waiting: deque[_Task] = deque()
        self._busy: dict[int, _Task] = {}
        self._shares: dict[int, float] = {}
        """Worker -> how much of its task is done."""
        self._parts_done = 0
        self._needs_answers = needs_one

    def hand_out(self) -> bool:
        """Give all who are free something to do; False when all is done."""
        for worker in self._crew.free():
            task = self._waiting.popleft() if self._waiting else self._take()
            if task is None:
                break
            self._busy[worker] = task
            self._crew.begin(worker, task.piece.handed_in, task.rows, self._told_by(worker, task))
        if self._crew.count > 1 and not self._waiting and (ahead := self._take()) is not None:
            self._waiting.append(ahead)  # whoever ends first need not wait for it to be made
        return bool(self._busy or self._waiting) or not self._all_taken

    def take_in(self, patient: bool) -> Iterator[tuple[int, Done]]:
        """Wait, or only look; the pieces that are whole now.

        Raises:
            NothingDone: a whole piece failed before anything came out well.
        """
        for worker, outcome in self._crew.wait(patient):
            task = self._busy.pop(worker)
            self._shares.pop(worker, None)
            piece = task.piece
            if isinstance(outcome, Failed):
                self._do_again(task, outcome.reason)
            else:
                self._needs_answers = False
                self._parts_done += len(task.rows)
                piece.answers.append((task.rows, outcome))
            if piece.is_done:
                if self._needs_answers:
                    raise NothingDone(len(piece.failed), "; ".join(dict.fromkeys(piece.failed.values())))
                yield piece.place, piece

    def _take(self) -> _Task | None:
        request = next(self._requests, None)
        if request is None:
            self._all_taken = True
            return None
        part_ids = request.part_ids
        piece = _Piece(self._crew.hand_in(request), place=self._taken, part_ids=part_ids)
        self._taken += 1
        return _Task(piece, list(range(len(part_ids))))

    def _do_again(self, task: _Task, reason: str) -> None:
        task.failures += 1
        piece = task.piece
        if task.failures < TRIES:
            self._waiting.appendleft(task)
        elif len(task.rows) > 1:
            self._waiting.extendleft(_Task(piece, [row], TRIES - 1) for row in reversed(task.rows))
        else:
            self._parts_done += 1
            piece.failed[task.rows[0]] = reason
            return
        piece.done_again |= {piece.part_ids[row]: reason for row in task.rows}

    def _told_by(self, worker: int, task: _Task) -> OnStep | None:
        on_step = self._on_step
        if on_step is None:
            return None

        def told(done: int, total: int) -> None:
            self._shares[worker] = done / total
            begun = sum(share * len(self._busy[one].rows) for one, share in self._shares.items())
            parts = self._parts_done + begun
            # The others have about as many steps a part.
            steps = round(self._parts * total / len(task.rows))
            try:
                on_step(round(steps * parts / self._parts), steps)
            except Exception as error:
                raise _Ended(error) from error

        return told
