"""The steps of a history as they lie on disk: which there are (history.json), and a folder for each.

    history/
      history.json               what was done, in order, and how much of it is done
      steps/0001/step.json       name, prompt, settings, seed, times, metrics
      steps/0001/delta.safetensors
      steps/0001/thumbnail.png

Reading is all that is done here, and without torch, for a list of steps should come at once; `store.py` writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

FORMAT = "fasttext2style-history-2"
"""Marks history.json."""
FIRST_FORMAT = "fasttext2style-history-1"
"""It kept the strengths alone, not how they came about."""
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


class Move(NamedTuple):
    """Something that was done: a step was made (its first move), or its strength was changed."""

    step: int
    old: float
    """Strength before; 0 for a step that is made."""
    new: float


@dataclass(frozen=True)
class Index:
    """What history.json says."""

    moves: tuple[Move, ...] = ()
    """Everything that was done and not forgotten, in that order."""
    done: int = 0
    """The first so many moves are done, the others undone."""
    next_step_id: int = 1
    next_gaussian_id: int = 0
    """No Gaussian of any step has this identity or a larger one."""

    @cached_property
    def strengths(self) -> dict[int, float]:
        """Step -> strength, in the order in which they were made; of undone steps the one that they had at first."""
        strengths = {move.step: move.new for move in reversed(self.moves)}
        strengths |= {move.step: move.new for move in self.moves[: self.done]}
        return {step_id: strengths[step_id] for step_id in dict.fromkeys(move.step for move in self.moves)}

    @cached_property
    def done_steps(self) -> set[int]:
        """Steps that are not undone; those that were taken out are among them."""
        return {move.step for move in self.moves[: self.done]}


class SavedSteps:
    """Reads the folder of a history."""

    def __init__(self, folder: Path) -> None:
        """An empty history if there is none.

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

    @property
    def all(self) -> list[Step]:
        """All steps, undone and dropped ones included, oldest first."""
        return [self.read_step(step_id) for step_id in self.index.strengths]

    def position(self, step_id: int) -> int:
        """Where a step stands in the order, from 0.

        Raises:
            ValueError: there is no such step.
        """
        if step_id not in self.index.strengths:
            known = ", ".join(map(str, self.index.strengths)) or "none"
            raise ValueError(f"There is no step {step_id} in {self.folder}; there are: {known}")
        return list(self.index.strengths).index(step_id)

    def read_step(self, step_id: int) -> Step:
        """Everything but the delta.

        Raises:
            ValueError: there is no such step, or its step.json is missing or damaged.
        """
        self.position(step_id)
        done = step_id in self.index.done_steps
        path, strength = self.step_folder(step_id) / "step.json", self.index.strengths[step_id]
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

    def _index_bytes(self) -> bytes | None:
        return self.index_path.read_bytes() if self.index_path.is_file() else None

    def _parsed(self, content_bytes: bytes) -> Index:
        try:
            content = json.loads(content_bytes)
            kind = content.pop("format")
            if kind not in (FORMAT, FIRST_FORMAT):
                raise ValueError(f"format {kind}, expected {FORMAT}")
            if kind == FIRST_FORMAT:
                moves = [Move(int(entry["step"]), 0.0, float(entry["strength"])) for entry in content.pop("strengths")]
            else:
                moves = [Move(int(step), float(old), float(new)) for step, old, new in content.pop("moves")]
            index = Index(tuple(moves), **content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.index_path} is no history of ours, or damaged ({error!r})") from error
        missing = [step_id for step_id in index.strengths if not self.delta_path(step_id).is_file()]
        if missing:
            raise ValueError(f"Files of the steps {missing} are missing in {self.folder}; was the folder copied whole?")
        return index


def steps_of_run(path: Path) -> SavedSteps:
    """The steps of a run, given its folder, config.yml or nerfstudio_models; without opening the run.

    Raises:
        ValueError: no such run, or a damaged history.
    """
    return SavedSteps(run_folder(path) / "history")


def run_folder(path: Path) -> Path:
    """The folder of a run, given it, its config.yml or its nerfstudio_models.

    Raises:
        ValueError: no such run.
    """
    path = Path(path).expanduser().absolute()
    folder = path.parent if path.name in ("config.yml", "nerfstudio_models") else path
    if not (folder / "config.yml").is_file() and not (folder / "history").is_dir():
        raise ValueError(
            f"{path} is no run: expected a folder with config.yml and nerfstudio_models, such as "
            "outputs/bear/fasttext2style/2026-01-31_120000."
        )
    return folder
