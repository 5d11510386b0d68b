"""Who edits the views of a round: one editor in this process, or several, each in a process or on a machine of its own.

A round hands in its views in pieces, requests of an editor's batch each. Pieces are the same whoever edits them, and an
editor's randomness comes from the seeds and views in them: so the answers are the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from fasttext2style.editors.editor import EditRequest, EditResult, ImageEditor, OnStep
from fasttext2style.rounds.packed import Packed
from fasttext2style.workers.choice import WorkersChoice
from fasttext2style.workers.hiring import hire
from fasttext2style.workers.in_process import InProcess
from fasttext2style.workers.pieces import Crew, Done, NothingDone, always, watch_pieces

AT_ONCE = 16
"""Views that are rendered, edited and made into 8 bits before the next ones, of an editor that names no batch size:
some 130 MB each at 1920 x 1080."""


@dataclass(frozen=True)
class About:
    """What rounds need to know of an editor that is not in this process."""

    name: str
    capabilities: frozenset[str]
    key_views: int
    batch_size: int


def about(editor: ImageEditor) -> About:
    """What an editor says about itself; without a batch size of its own it gets `AT_ONCE` views."""
    return About(
        editor.name, editor.capabilities, getattr(editor, "key_views", 0), getattr(editor, "batch_size", AT_ONCE)
    )


@runtime_checkable
class Workers(ImageEditor, Protocol):
    """An editor that is asked for many pieces at once."""

    key_views: int
    """So many views are seen by all others: then all views of an edit have to be one piece."""
    batch_size: int
    """Views that it edits together, at most."""
    count: int
    """Pieces that are edited at the same time."""

    def edit_all(
        self,
        requests: Iterable[EditRequest],
        views: int,
        on_step: OnStep | None = None,
        is_patient: Callable[[], bool] = always,
    ) -> Generator[tuple[int, EditResult] | None, None, None]:
        """Each piece's number, from 0, and its answer, as they come; the next request is taken when a worker is free.

        Args:
            views: of all requests together, for the progress.
            on_step: called with (done, total) steps of all of them; what it raises ends all edits.
            is_patient: while it is not, None comes whenever one would have to wait, for who has something else to do.
                An editor in this process begins when somebody waits for it.

        Raises:
            ValueError: the first piece failed as a whole, or no worker is left.
        """
        ...


class Crewed:
    """`Workers` of any kind: a crew does what the editor that `about` describes would do."""

    def __init__(self, crew: Crew, about: About) -> None:
        self.name, self.capabilities = about.name, about.capabilities
        self.key_views, self.batch_size = about.key_views, about.batch_size
        self._crew = crew

    @property
    def count(self) -> int:
        return self._crew.count

    def edit_all(
        self,
        requests: Iterable[EditRequest],
        views: int,
        on_step: OnStep | None = None,
        is_patient: Callable[[], bool] = always,
    ) -> Generator[tuple[int, EditResult] | None, None, None]:
        return edit_pieces(self._crew, requests, views, on_step, is_patient)

    def edit(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult:
        with closing(edit_pieces(self._crew, [request], len(request.images), on_step)) as answers:
            first = next(answers)
        assert first is not None, "somebody patient waits until there is an answer"
        return first[1]

    def close(self) -> None:
        self._crew.close()


def workers_of(editor: ImageEditor | Workers) -> Workers:
    """The editor itself if it is several, else it alone, in this process."""
    return editor if hasattr(editor, "edit_all") else Crewed(here(editor), about(editor))  # pyright: ignore[reportReturnType]


def here(editor: ImageEditor) -> InProcess:
    """The crew of one editor in this process."""
    return InProcess(EditingTool(editor))


def hire_editors(choice: WorkersChoice, load: Callable[[str], ImageEditor], device: str, name: str) -> Crewed:
    """Workers that have loaded the editor `name`, which `load` makes on a device; see `workers.hiring.hire`.

    Raises:
        ValueError: Ray cannot be started or reached, or no worker could load the editor.
    """
    return Crewed(*hire(choice, LoadEditingTool(load), device, f"the editor {name}", Packed.of))


@dataclass(frozen=True)
class EditingTool:
    """An editor as a worker's tool."""

    editor: ImageEditor

    @property
    def about(self) -> About:
        return about(self.editor)

    def do(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult:
        return self.editor.edit(request, on_step)

    def close(self) -> None:
        self.editor.close()


@dataclass(frozen=True)
class LoadEditingTool:
    """Makes a worker's tool of an editor on a device; travels to the workers."""

    load: Callable[[str], ImageEditor]

    def __call__(self, device: str) -> EditingTool:
        return EditingTool(self.load(device))


def edit_pieces(
    crew: Crew,
    requests: Iterable[EditRequest],
    views: int,
    on_step: OnStep | None = None,
    is_patient: Callable[[], bool] = always,
) -> Generator[tuple[int, EditResult] | None, None, None]:
    """The number of each request and its answer, as they come; `Workers.edit_all` says the rest.

    Views that were done again stand in the answer's info, `done_again`, by their ids, with what had happened.
    """
    try:
        with closing(watch_pieces(crew, requests, views, on_step, is_patient=is_patient)) as looks:
            for ended in looks:
                yield None if ended is None else (ended[0], _answer(crew, ended[1]))
    except NothingDone as nothing:
        raise ValueError(f"The editor edited none of the first {nothing.parts} views: {nothing.reasons}") from None


def _answer(crew: Crew, done: Done) -> EditResult:
    if len(done.answers) == 1 and not done.failed:
        result = done.answers[0][1]
    else:
        result = _put_together(done, crew.handed_in(done.handed_in))
    return replace(result, info=result.info | {"done_again": done.done_again}) if done.done_again else result


def _put_together(done: Done, request: EditRequest) -> EditResult:
    images, failed, info = request.images.clone(), dict(done.failed), {}
    for rows, part in sorted(done.answers, key=lambda answer: answer[0]):
        images[rows] = part.images.to(images)
        failed |= {rows[index]: reason for index, reason in part.failed.items()}
        info |= part.info
    return EditResult(images, info, dict(sorted(failed.items())))


def settings_for_workers(views: int, batch_size: int, count: int) -> str:
    """What to say when there are fewer pieces than workers; empty when there is nothing to say. 12 views in batches of
    8 keep two of four workers busy: with batches of 3 all four have one."""
    pieces = -(-views // batch_size)
    if pieces >= count:
        return ""
    advice = ""
    if -(-views // count) < batch_size:
        advice = f" --pipeline.editor-settings batch_size {-(-views // count)} makes more of them."
    return (
        f"{views} views in batches of {batch_size} are {pieces} for {count} workers: {count - pieces} have nothing to "
        f"do.{advice}"
    )


def joined_info(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """An editor's accounts of the pieces of a round as one: seconds add up, lists are joined, others are the last's."""
    joined: dict[str, Any] = {}
    for info in infos:
        joined |= info
    for name in list(joined):
        if name.endswith("seconds"):
            joined[name] = round(sum(info.get(name, 0.0) for info in infos), 3)
        elif name == "unseen_views":
            joined[name] = [view for info in infos for view in info.get(name, [])]
        elif name == "done_again":
            joined[name] = {view: reason for info in infos for view, reason in info.get(name, {}).items()}
    return joined
