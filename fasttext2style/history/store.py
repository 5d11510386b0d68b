"""A history's files: which steps there are (history.json), and a folder for each that never changes afterwards.

    history/
      history.json               order, strengths, how many are done
      steps/0001/step.json       name, prompt, settings, seed, times, metrics
      steps/0001/delta.safetensors
      steps/0001/thumbnail.png

A step's folder is written under a hidden name, renamed, and only then named in history.json, which is replaced whole:
whatever happens in between, all earlier steps stay as they were.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from fasttext2style.history.delta import Delta
from fasttext2style.scene.files.atomic import atomic_write

FORMAT = "fasttext2style-history-1"
"""Marks history.json."""
Kind = Literal["edit", "selection"]


@dataclass(frozen=True)
class Step:
    """What is known of a step besides its delta."""

    id: int
    """Counts from 1, never given twice."""
    name: str
    kind: Kind
    prompt: str
    settings: dict[str, Any]
    seed: int | None
    seconds: float
    metrics: dict[str, float]
    created: str
    """ISO 8601, with time zone."""
    gaussians_changed: int
    """Gaussians that the step touched, and those that came or went."""
    megabytes: float
    """On disk."""
    folder: Path
    strength: float
    """0 dropped, 1 as it was made."""
    active: bool
    """In force: neither undone nor dropped."""

    @property
    def thumbnail(self) -> Path | None:
        """A small picture, if one was kept."""
        path = self.folder / "thumbnail.png"
        return path if path.is_file() else None


@dataclass(frozen=True)
class Index:
    """What history.json says."""

    strengths: dict[int, float] = field(default_factory=dict)
    """Step -> strength, in the order in which they were made."""
    done: int = 0
    """The first so many steps are done, the others undone."""
    next_step_id: int = 1
    next_gaussian_id: int = 0
    """No Gaussian of any step has this identity or a larger one."""


class Store:
    """Reads and writes the folder of a history."""

    def __init__(self, folder: Path) -> None:
        """Nothing is written yet.

        Raises:
            ValueError: history.json is not one of ours or damaged, or a step's file is missing.
        """
        self.folder = folder
        self.index_path = folder / "history.json"
        self._known_bytes = self._index_bytes()
        self.index = Index() if self._known_bytes is None else self._parsed(self._known_bytes)

    def step_folder(self, step_id: int) -> Path:
        return self.folder / "steps" / f"{step_id:04d}"

    def delta_path(self, step_id: int) -> Path:
        return self.step_folder(step_id) / "delta.safetensors"

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

    def read_step(self, step_id: int) -> Step:
        """Everything but the delta.

        Raises:
            ValueError: its step.json is missing or damaged.
        """
        path = self.step_folder(step_id) / "step.json"
        strength = self.index.strengths[step_id]
        done = list(self.index.strengths).index(step_id) < self.index.done
        try:
            return Step(
                **json.loads(path.read_bytes()),
                id=step_id,
                folder=path.parent,
                megabytes=self.delta_path(step_id).stat().st_size / 1e6,
                strength=strength,
                active=done and strength > 0,
            )
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is missing or damaged ({error})") from error

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

    def _index_bytes(self) -> bytes | None:
        return self.index_path.read_bytes() if self.index_path.is_file() else None

    def _parsed(self, content_bytes: bytes) -> Index:
        try:
            content = json.loads(content_bytes)
            kind = content.pop("format")
            strengths = {int(entry["step"]): float(entry["strength"]) for entry in content.pop("strengths")}
            index = Index(strengths, **content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.index_path} is no history of ours, or damaged ({error!r})") from error
        if kind != FORMAT:
            raise ValueError(f"{self.index_path} has format {kind}, expected {FORMAT}")
        missing = [step_id for step_id in strengths if not self.delta_path(step_id).is_file()]
        if missing:
            raise ValueError(f"Files of the steps {missing} are missing in {self.folder}; was the folder copied whole?")
        return index


def _link_or_copy(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
