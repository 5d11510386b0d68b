"""Pieces of a round, handed out to workers: who is free gets the next one, and what was lost is done again.

A piece that fails (its editor raised, or its worker died) is done once more as it was: for most deaths are not the
piece's fault, and its answer is then the same as without. If it fails again, its views are tried one by one, and those
that fail alone are given up, with the reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from fasttext2style.editors.editor import EditRequest, EditResult, OnStep

TRIES = 2
"""Of a piece, and of a view that failed in one: then alone, once."""


@dataclass(frozen=True)
class Failed:
    """A piece was not edited."""

    reason: str
    """In words, in one line."""


@runtime_checkable
class Crew(Protocol):
    """Workers with the same editor, numbered from 0. A `piece` is what `hand_in` made of a request."""

    @property
    def count(self) -> int:
        """Workers that edit, or soon will."""
        ...

    def hand_in(self, request: EditRequest) -> Any:
        """Put a request where every worker can take it from."""
        ...

    def handed_in(self, piece: Any) -> EditRequest: ...

    def free(self) -> list[int]:
        """Those that could begin now."""
        ...

    def begin(self, worker: int, piece: Any, rows: list[int], on_step: OnStep | None) -> None:
        """Have a free worker edit some views of a piece; `on_step` is called during `wait`."""
        ...

    def wait(self) -> list[tuple[int, EditResult | Failed]]:
        """Wait a moment, or until somebody has ended: worker and outcome. A worker that died is replaced meanwhile.

        Raises:
            ValueError: there is nobody to wait for, nor will there be.
        """
        ...

    def stop(self) -> None:
        """Nobody waits for what was begun."""
        ...

    def close(self) -> None: ...


def edit_pieces(
    crew: Crew, requests: Iterable[EditRequest], views: int, on_step: OnStep | None = None
) -> Generator[tuple[int, EditResult], None, None]:
    """The number of each request and its answer, as they come; `Workers.edit_all` says the rest.

    Views that were done again stand in the answer's info, `done_again`, by their ids, with what had happened.
    """
    work = _Work(crew, iter(requests), views, on_step)
    try:
        while work.hand_out():
            yield from work.take_in()
    except _Ended as ended:
        raise ended.error from None
    finally:
        crew.stop()


@dataclass
class _Piece:
    place: int
    handed_in: Any
    view_ids: tuple[int, ...]
    answers: list[tuple[list[int], EditResult]] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    """Row -> why it was given up."""
    done_again: dict[int, str] = field(default_factory=dict)
    """View id -> why."""

    @property
    def is_done(self) -> bool:
        return sum(len(rows) for rows, _ in self.answers) + len(self.failed) == len(self.view_ids)

    def answer(self, crew: Crew) -> EditResult:
        if len(self.answers) == 1 and not self.failed:
            result = self.answers[0][1]
        else:
            result = self._put_together(crew.handed_in(self.handed_in))
        return replace(result, info=result.info | {"done_again": self.done_again}) if self.done_again else result

    def _put_together(self, request: EditRequest) -> EditResult:
        images, failed, info = request.images.clone(), dict(self.failed), {}
        for rows, part in sorted(self.answers, key=lambda answer: answer[0]):
            images[rows] = part.images.to(images)
            failed |= {rows[index]: reason for index, reason in part.failed.items()}
            info |= part.info
        return EditResult(images, info, dict(sorted(failed.items())))


@dataclass
class _Task:
    """Some views of a piece, which one worker edits."""

    piece: _Piece
    rows: list[int]
    failures: int = 0


class _Ended(BaseException):
    """`on_step` raised: no editor's `except Exception` shall take that for a failure of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Work:
    """What is to be done, who does it, and how far all of it is."""

    def __init__(self, crew: Crew, requests: Iterator[EditRequest], views: int, on_step: OnStep | None) -> None:
        self._crew, self._requests, self._views, self._on_step = crew, requests, views, on_step
        self._taken, self._all_taken = 0, False
        self._waiting: deque[_Task] = deque()
        self._busy: dict[int, _Task] = {}
        self._shares: dict[int, float] = {}
        """Worker -> how much of its task is done."""
        self._views_done = 0
        self._has_answers = False

    def hand_out(self) -> bool:
        """Give all who are free something to do; False when all is done."""
        for worker in self._crew.free():
            task = self._waiting.popleft() if self._waiting else self._take()
            if task is None:
                break
            self._busy[worker] = task
            self._crew.begin(worker, task.piece.handed_in, task.rows, self._told_by(worker, task))
        if self._crew.count > 1 and not self._waiting and (ahead := self._take()) is not None:
            self._waiting.append(ahead)  # whoever ends first need not wait for it to be rendered
        return bool(self._busy or self._waiting) or not self._all_taken

    def take_in(self) -> Iterator[tuple[int, EditResult]]:
        """Wait; the pieces that are whole now.

        Raises:
            ValueError: a whole piece failed before anything came out well.
        """
        for worker, outcome in self._crew.wait():
            task = self._busy.pop(worker)
            self._shares.pop(worker, None)
            piece = task.piece
            if isinstance(outcome, Failed):
                self._do_again(task, outcome.reason)
            else:
                self._has_answers = True
                self._views_done += len(task.rows)
                piece.answers.append((task.rows, outcome))
            if piece.is_done:
                if not self._has_answers:
                    reasons = "; ".join(dict.fromkeys(piece.failed.values()))
                    raise ValueError(f"The editor edited none of the first {len(piece.failed)} views: {reasons}")
                yield piece.place, piece.answer(self._crew)

    def _take(self) -> _Task | None:
        request = next(self._requests, None)
        if request is None:
            self._all_taken = True
            return None
        piece = _Piece(self._taken, self._crew.hand_in(request), request.view_ids)
        self._taken += 1
        return _Task(piece, list(range(len(request.images))))

    def _do_again(self, task: _Task, reason: str) -> None:
        task.failures += 1
        piece = task.piece
        if task.failures < TRIES:
            self._waiting.appendleft(task)
        elif len(task.rows) > 1:
            self._waiting.extendleft(_Task(piece, [row], TRIES - 1) for row in reversed(task.rows))
        else:
            self._views_done += 1
            piece.failed[task.rows[0]] = reason
            return
        piece.done_again |= {piece.view_ids[row]: reason for row in task.rows}

    def _told_by(self, worker: int, task: _Task) -> OnStep | None:
        on_step = self._on_step
        if on_step is None:
            return None

        def told(done: int, total: int) -> None:
            self._shares[worker] = done / total
            begun = sum(share * len(self._busy[one].rows) for one, share in self._shares.items())
            views = self._views_done + begun
            # The others have about as many steps a view.
            steps = round(self._views * total / len(task.rows))
            try:
                on_step(round(steps * views / self._views), steps)
            except Exception as error:
                raise _Ended(error) from error

        return told
