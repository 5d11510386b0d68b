"""Writes the files of a history (`steps.py` says which there are); a step's folder never changes afterwards.

A step's folder is written under a hidden name, renamed, and only then named in history.json, which is replaced whole:
whatever happens in between, all earlier steps stay as they were.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image

from fasttext2style.history.delta import Delta
from fasttext2style.history.steps import FORMAT, Index, SavedSteps
from fasttext2style.scene.files.atomic import atomic_write


class Store(SavedSteps):
    """Reads and writes the folder of a history."""

    def write_index(self, index: Index) -> None:
        """Replace history.json.

        Raises:
            ValueError: another program changed it since we read it, or the disk is full; then nothing was changed.
        """
        if self._index_bytes() != self._known_bytes:
            raise ValueError(
                f"{self.index_path} was changed by another program since it was opened: close one of them and open "
                "the run again"
            )
        content = asdict(index) | {"format": FORMAT}
        content["strengths"] = [{"step": step_id, "strength": value} for step_id, value in index.strengths.items()]
        content_bytes = (json.dumps(content, indent=1) + "\n").encode()
        try:
            with atomic_write(self.index_path) as stream:
                stream.write(content_bytes)
        except OSError as error:
            raise ValueError(f"{self.index_path} could not be written ({error}); nothing was changed") from error
        self._known_bytes, self.index = content_bytes, index

    def write_step(
        self, step_id: int, delta: Delta, facts: Mapping[str, Any], thumbnail: np.ndarray | None = None
    ) -> None:
        """Write a step's folder, whole or not at all.

        Raises:
            ValueError: it could not be written.
        """
        folder = self.step_folder(step_id)
        unfinished = folder.with_name(f".{folder.name}.tmp")
        try:
            # Not when a history is opened: another program may just be writing a step.
            for left_over in folder.parent.glob(".*.tmp"):
                shutil.rmtree(left_over)
            self.remove_step(step_id)
            unfinished.mkdir(parents=True)
            delta.save(unfinished / "delta.safetensors")
            (unfinished / "step.json").write_text(json.dumps(facts, indent=1, default=str) + "\n", encoding="utf8")
            if thumbnail is not None:
                Image.fromarray(thumbnail).save(unfinished / "thumbnail.png")
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

    def unnamed_steps(self) -> list[int]:
        """Steps that have a folder, but that history.json does not name (any more)."""
        found = (int(folder.name) for folder in (self.folder / "steps").glob("[0-9]*"))
        return sorted(set(found) - set(self.index.strengths))

    def link_steps_to(self, other: Store) -> None:
        """Give another store the same steps: hard links, or copies where the disk has none.

        Raises:
            ValueError: they could not be written.
        """
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
