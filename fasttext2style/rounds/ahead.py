"""Rounds that overlap: the next one's views are edited while this one trains.

They are seen before the last steps of a round, and the subject's state of that moment is kept beside the round's
snapshot: a resumed run sees them again, and has the same pictures edited.
"""

from __future__ import annotations

from typing import Any

from fasttext2style.editors.editor import OnStep
from fasttext2style.rounds.folder import Round, RoundsFolder
from fasttext2style.rounds.schedule import derived_seed
from fasttext2style.rounds.snapshot import load_tensors, save_tensors
from fasttext2style.rounds.subject import Subject
from fasttext2style.rounds.targets import Editing, ViewEditor


class EditsAhead:
    """Edits of a round to come, at most one round's.

    Args:
        editor: who edits.
        subject: what is edited.
        folder: where rounds are kept.
        seed: of the run.
        on_step: called with (done, total) denoising steps while somebody waits for them.
    """

    def __init__(
        self, editor: ViewEditor, subject: Subject, folder: RoundsFolder, seed: int, on_step: OnStep | None
    ) -> None:
        self._editor, self._subject, self._folder, self._seed, self._on_step = editor, subject, folder, seed, on_step
        self._editing: Editing | None = None

    def begin(self, number: int, step: int, chosen: list[int]) -> dict[str, Any]:
        """Have these views edited, as they are now at a step of round `number`, for the round after it; returns what
        that round's manifest has to say.

        Raises:
            ValueError: the disk is full.
        """
        path = self._folder.folder(number) / f"ahead_{step:06d}.safetensors"
        with self._folder.writing(path):
            save_tensors(path, self._subject.state())
        self._see(number + 1, chosen)
        return {"step": step, "views": chosen, "snapshot": path.name}

    def begin_again(self, last: Round) -> None:
        """Those that were begun in this round; leaves the subject as it was then.

        Raises:
            ValueError: what was kept is missing or damaged.
        """
        said = last.manifest.get("ahead")
        if said is not None:
            self._subject.load_state(load_tensors(last.folder / said["snapshot"]))
            self._see(last.number + 1, said["views"])

    def look(self) -> None:
        """Take what has come and hand out more, without waiting."""
        if self._editing is not None:
            self._editing.look()

    def take(self) -> Editing | None:
        """The round has come; None if nothing was begun for it."""
        editing, self._editing = self._editing, None
        return editing

    def drop(self) -> None:
        """The round will begin otherwise."""
        if (editing := self.take()) is not None:
            editing.close()

    def _see(self, number: int, chosen: list[int]) -> None:
        self._editing = self._editor.edit_ahead(chosen, number, derived_seed(self._seed, number, 0), self._on_step)
        self._editing.look()
