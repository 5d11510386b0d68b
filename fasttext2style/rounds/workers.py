"""Who edits the views of a round: one editor in this process, or several, each in a process or on a machine of its own.

A round hands in its views in pieces, requests of an editor's batch each. Pieces are the same whoever edits them, and an
editor's randomness comes from the seeds and views in them: so the answers are the same for any number of workers.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from fasttext2style.editors.editor import EditRequest, EditResult, ImageEditor, OnStep
from fasttext2style.plug_ins import NotTrusted, names_come_from_others
from fasttext2style.rounds.pieces import Crew, Failed, edit_pieces

logger = logging.getLogger(__name__)

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
        self, requests: Iterable[EditRequest], views: int, on_step: OnStep | None = None
    ) -> Generator[tuple[int, EditResult], None, None]:
        """Each piece's number, from 0, and its answer, as they come; the next request is taken when a worker is free.

        Args:
            views: of all requests together, for the progress.
            on_step: called with (done, total) steps of all of them; what it raises ends all edits.

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
        self, requests: Iterable[EditRequest], views: int, on_step: OnStep | None = None
    ) -> Generator[tuple[int, EditResult], None, None]:
        return edit_pieces(self._crew, requests, views, on_step)

    def edit(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult:
        with closing(edit_pieces(self._crew, [request], len(request.images), on_step)) as answers:
            return next(answers)[1]

    def close(self) -> None:
        self._crew.close()


def workers_of(editor: ImageEditor | Workers) -> Workers:
    """The editor itself if it is several, else it alone, in this process."""
    return editor if hasattr(editor, "edit_all") else Crewed(InProcess(editor), about(editor))  # pyright: ignore[reportReturnType]


class InProcess:
    """A crew of one, which is here: no copies, and no more memory than the editor takes."""

    count = 1

    def __init__(self, editor: ImageEditor) -> None:
        self._editor = editor
        self._begun: tuple[EditRequest, OnStep | None] | None = None

    def hand_in(self, request: EditRequest) -> EditRequest:
        return request

    def handed_in(self, piece: EditRequest) -> EditRequest:
        return piece

    def free(self) -> list[int]:
        return [0] if self._begun is None else []

    def begin(self, worker: int, piece: EditRequest, rows: list[int], on_step: OnStep | None) -> None:
        self._begun = (piece if len(rows) == len(piece.images) else piece.select(rows)), on_step

    def wait(self) -> list[tuple[int, EditResult | Failed]]:
        assert self._begun is not None, "only what was begun can be waited for"
        (request, on_step), self._begun = self._begun, None
        return [(0, edit_or_say_why(self._editor, request, on_step))]

    def stop(self) -> None:
        self._begun = None

    def close(self) -> None:
        self._editor.close()


def edit_or_say_why(editor: ImageEditor, request: EditRequest, on_step: OnStep | None) -> EditResult | Failed:
    """Whatever an editor raises, which may be anybody's, costs the views that it was asked for and not the run."""
    try:
        return editor.edit(request, on_step)
    except Exception as error:
        logger.debug("The editor failed", exc_info=True)
        words = " ".join(str(error).split())
        return Failed(words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}")


@dataclass(frozen=True)
class WorkersChoice:
    """What --workers says: so many here, or those of a Ray cluster."""

    count: int = 1
    address: str = ""

    @property
    def in_process(self) -> bool:
        return not self.address and self.count == 1


_ADDRESS = re.compile(r"(?:ray://)?(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
MOST_WORKERS = 1024


def read_workers(text: str) -> WorkersChoice:
    """What was typed after --workers; nothing is started or asked.

    Raises:
        ValueError: neither a number nor an address, Ray is not installed, or somebody else named the address.
    """
    text = str(text).strip()
    found = _ADDRESS.fullmatch(text)
    if re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= MOST_WORKERS:
        choice = WorkersChoice(count=int(text))
    elif found is not None and 1 <= int(found[1]) <= 65535:
        choice = WorkersChoice(address=text)
    else:
        raise ValueError(
            f"--workers is a number from 1 to {MOST_WORKERS} (that many on this machine), or the address of a Ray "
            f"cluster such as ray://HEAD:10001; got {text!r}."
        )
    if choice.address and names_come_from_others():
        # Ray unpickles what a cluster answers: whoever runs it can run anything here.
        raise NotTrusted(
            f"These settings send views to a Ray cluster at {choice.address}, and were not written by you on this "
            "machine. If you trust it, give the command --trust; or --workers 1."
        )
    if not choice.in_process and importlib.util.find_spec("ray") is None:
        raise ValueError(
            f'--workers {text} needs Ray, which is not installed: pip install "fasttext2style[workers]", or leave '
            "--workers out."
        )
    return choice


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
