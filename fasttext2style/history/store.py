"""Writes the files of a history (`steps.py` says which there are); a step's folder never changes afterwards.

A step's folder is written under a hidden name, renamed, and only then named in history.json, which is replaced whole:
whatever happens in between, all earlier steps stay as they were. Nothing is written or removed but by the one who holds
the lock of the run, and only while history.json still says what was read: what another program added since is safe.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fasttext2style.history.delta import Delta
from fasttext2style.history.steps import FORMAT, Index, SavedSteps
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.trust.lock import WriteLock


class Store(SavedSteps):
    """Reads and writes the folder of a history."""

    _waits = False
    """Inside of `at_once`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._run_was_there = folder.parent.is_dir()

    @property
    def is_gone(self) -> bool:
        return self._run_is_gone or (
            self._known_bytes is not None
            and (
                not self.index_path.is_file()
                or not all(self.delta_path(step_id).is_file() for step_id in self.index.strengths)
            )
        )

    @property
    def _run_is_gone(self) -> bool:
        return self._run_was_there and not self.folder.parent.is_dir()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Files are written and removed inside of this alone: nobody else writes now, and none has since we read.

        Raises:
            ValueError: another program is writing, or has changed the history since it was opened.
        """
        if self._run_is_gone:  # first, for the lock would make it anew
            raise ValueError(
                f"{self.folder.parent} was there when it was opened and is gone: put it back, under this name (the "
                "scene itself can still be exported)"
            )
        with WriteLock(self.folder.parent):
            if self._index_bytes() != self._known_bytes:
                if not self.index_path.exists():
                    raise ValueError(
                        f"{self.index_path} was there when the run was opened and is gone: put the folder back (the "
                        "scene itself can still be exported)"
                    )
                raise ValueError(
                    f"{self.index_path} was changed by another program since it was opened: close one of them and open "
                    "the run again"
                )
            yield

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Changes of the order of steps are written once, when the block ends well; else they are forgotten, and so
        are the steps that were made inside.

        Raises:
            ValueError: as `write_index`.
        """
        # For as long as it takes: what is removed below is nobody else's.
        with WriteLock(self.folder.parent):
            before, self._waits = self.index, True
            try:
                yield
                self._waits = False
                if self.index != before:
                    self.write_index(self.index)
            except BaseException:
                made = self.index.strengths.keys() - before.strengths.keys()
                self.index = before
                if self._index_bytes() == self._known_bytes:
                    for step_id in made:
                        self.remove_step(step_id)
                raise
            finally:
                self._waits = False

    def write_index(self, index: Index) -> None:
        """Replace history.json (inside `at_once`: when that ends).

        Raises:
            ValueError: another program changed it since we read it, or the disk is full; then nothing was changed.
        """
        if self._waits:
            self.index = index
            return
        content = asdict(index) | {"format": FORMAT}
        content_bytes = (json.dumps(content, indent=1) + "\n").encode()
        try:
            with self.changing(), atomic_write(self.index_path) as stream:
                stream.write(content_bytes)
        except OSError as error:
            raise ValueError(f"{self.index_path} could not be written ({error}); nothing was changed") from error
        self._known_bytes, self.index = content_bytes, index

    def write_step(
        self,
        step_id: int,
        delta: Delta,
        facts: Mapping[str, Any],
        thumbnail: np.ndarray | None = None,
        picture: bytes | None = None,
    ) -> None:
        """Write a step's folder, whole or not at all; `picture` is a PNG.

        Raises:
            ValueError: it could not be written.
        """
        folder = self.step_folder(step_id)
        unfinished = folder.with_name(f".{folder.name}.tmp")
        try:
            self.remove_left_overs()
            self.remove_step(step_id)
            unfinished.mkdir(parents=True)
            delta.save(unfinished / "delta.safetensors")
            (unfinished / "step.json").write_text(json.dumps(facts, indent=1, default=str) + "\n", encoding="utf8")
            # safetensors makes files that only their owner may read; a run is handed on as a whole.
            shutil.copymode(unfinished / "step.json", unfinished / "delta.safetensors")
            if thumbnail is not None:
                Image.fromarray(thumbnail).save(unfinished / "thumbnail.png")
            if picture is not None:
                (unfinished / "picture.png").write_bytes(picture)
            for path in unfinished.iterdir():
                with open(path, "rb") as stream:
                    os.fsync(stream.fileno())
            unfinished.rename(folder)
        except (OSError, ValueError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise ValueError(
                f"The step {facts['name']!r} could not be kept in {self.folder} ({error}); earlier steps are untouched"
            ) from error

    def remove_step(self, step_id: int) -> None:
        """Remove a step's folder, if there is one (a program that was killed may have left it)."""
        if self.step_folder(step_id).exists():
            shutil.rmtree(self.step_folder(step_id))

    def remove_left_overs(self) -> None:
        """Remove what killed writers left; inside of `changing`, for another program may just be writing a step."""
        # Of history.json, `atomic_write` removes them.
        for left_over in self.folder.glob("steps/.*.tmp"):
            if left_over.is_dir():
                shutil.rmtree(left_over)
            else:
                left_over.unlink(missing_ok=True)

    def unnamed_steps(self) -> list[int]:
        """Steps that have a folder, but that history.json does not name (any more); folders of others are no steps."""
        names = (folder.name for folder in (self.folder / "steps").glob("[0-9]*"))
        found = (int(name) for name in names if re.fullmatch(r"[0-9]{4,9}", name))
        return sorted(set(found) - set(self.index.strengths))

    def link_steps_to(self, other: Store) -> None:
        """Give another store the same steps: hard links, or copies where the disk has none.

        Raises:
            ValueError: they could not be written.
        """
        with other.changing():
            try:
                for step_id in self.index.strengths:
                    other.remove_step(step_id)
                    shutil.copytree(self.step_folder(step_id), other.step_folder(step_id), copy_function=_link_or_copy)
            except OSError as error:
                raise ValueError(f"The history could not be carried over to {other.folder} ({error})") from error
            other.write_index(self.index)


def _link_or_copy(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
