"""The steps of a history as they lie on disk: which there are (history.json), and a folder for each.

    history/
      history.json               what was done, in order, and how much of it is done
      steps/0001/step.json       name, prompt, settings, seed, times, metrics
      steps/0001/delta.safetensors
      steps/0001/thumbnail.png
      steps/0001/picture.png     only of a step that took its style from one

Reading is all that is done here, and without torch, for a list of steps should come at once; `store.py` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from fasttext2style.trust.documents import (
    COUNT,
    LARGEST,
    MAPPING,
    NUMBER,
    TEXT,
    are_numbers,
    check_fields,
    is_count,
    is_number,
    parsed_document,
    read_document,
)
from fasttext2style.trust.sizes import check_is_file
from fasttext2style.trust.typed import expanded

FORMAT = "fasttext2style-history-2"
"""Marks history.json."""
LARGEST_ID = 2**62
"""No identity of a Gaussian comes near it; the next ones are counted on from those of a file."""
MOST_STEPS = 10**9
"""Numbers of steps have up to nine digits."""
FIRST_FORMAT = "fasttext2style-history-1"
"""It kept the strengths alone, not how they came about."""
Kind = Literal["edit", "selection"]
LARGEST_THUMBNAIL = 1024
"""Side in pixels; ours have 96."""
LARGEST_THUMBNAIL_FILE = 5 << 20
"""Bytes: it goes to every page as it is. 1024 x 1024 pixels have 4 MiB before they are packed."""


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
        return self._small_picture("thumbnail.png")

    @property
    def picture(self) -> Path | None:
        """The picture that the step took its style from, if it did."""
        return self._small_picture("picture.png")

    def _small_picture(self, name: str) -> Path | None:
        path = self.folder / name
        try:
            # Ours are no links: one that somebody made may lead to any picture of this machine.
            if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_THUMBNAIL_FILE:
                return None
            with open(path, "rb") as stream:
                start = stream.read(24)
        except OSError:
            return None
        # Whoever shows it unpacks it: width and height stand in the first 24 bytes of a PNG.
        sides = [int.from_bytes(start[place : place + 4], "big") for place in (16, 20)]
        return path if start.startswith(b"\x89PNG\r\n\x1a\n") and max(sides) <= LARGEST_THUMBNAIL else None


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


_FACTS = {
    "name": TEXT,
    "kind": ("edit or selection", lambda value: value in get_args(Kind)),
    "prompt": TEXT,
    "settings": MAPPING,
    "seed": ("a whole number or null", lambda value: value is None or (type(value) is int and abs(value) < 2**64)),
    "seconds": NUMBER,
    "metrics": ("a mapping of names to numbers", are_numbers),
    "created": TEXT,
    "gaussians_changed": COUNT,
}
"""Of step.json."""
_COUNTS = {"done": COUNT, "next_step_id": COUNT, "next_gaussian_id": COUNT}
_INDEX = _COUNTS | {
    "moves": (
        "a list of moves, each a step and its strengths before and after, from 0 to 1",
        lambda value: isinstance(value, list) and all(_is_move(entry) for entry in value),
    ),
}
"""Of history.json."""
_FIRST_INDEX = _COUNTS | {
    "strengths": (
        "a list of steps and their strengths from 0 to 1, none twice",
        lambda value: (
            isinstance(value, list)
            and all(isinstance(entry, dict) and is_count(entry.get("step")) for entry in value)
            and all(is_number(entry.get("strength")) and 0 <= entry["strength"] <= 1 for entry in value)
            and len({entry["step"] for entry in value}) == len(value)
        ),
    ),
}
"""Of the first format's."""


def _is_move(entry: Any) -> bool:
    if not isinstance(entry, list) or len(entry) != 3 or not is_count(entry[0]):
        return False
    return all(is_number(strength) and 0 <= strength <= 1 for strength in entry[1:])


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
            facts = read_document(path)
            check_fields(facts, _FACTS)
            return Step(
                **facts,
                id=step_id,
                folder=path.parent,
                megabytes=self.delta_path(step_id).stat().st_size / 1e6,
                strength=strength,
                active=done and strength > 0,
            )
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is missing or damaged ({error})") from error

    def _index_bytes(self) -> bytes | None:
        check_is_file(self.index_path)
        if not self.index_path.is_file():
            return None
        with open(self.index_path, "rb") as stream:
            return stream.read(LARGEST + 1)

    def _parsed(self, content_bytes: bytes) -> Index:
        try:
            content = parsed_document(content_bytes)
            kind = content.pop("format", None)
            if kind == FORMAT:
                check_fields(content, _INDEX)
                moves = [Move(step, float(old), float(new)) for step, old, new in content.pop("moves")]
            elif kind == FIRST_FORMAT:
                check_fields(content, _FIRST_INDEX)
                moves = [Move(entry["step"], 0.0, float(entry["strength"])) for entry in content.pop("strengths")]
            else:
                raise ValueError(f"it has format {str(kind)[:80]!r}, expected {FORMAT}")
            index = Index(tuple(moves), **content)
            if not index.done <= len(moves) or any(move.step >= index.next_step_id for move in moves):
                raise ValueError("its numbers contradict each other")
            if index.next_step_id >= MOST_STEPS or index.next_gaussian_id >= LARGEST_ID:
                raise ValueError("its numbers are larger than anybody could have counted")
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.index_path} is no history of ours, or damaged ({error})") from error
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


def named_folder(path: Path) -> Path:
    """The folder that is meant by a run's folder, its config.yml or its nerfstudio_models, there or not."""
    path = expanded(path).absolute()
    return path.parent if path.name in ("config.yml", "nerfstudio_models") else path


def run_folder(path: Path) -> Path:
    """As `named_folder`.

    Raises:
        ValueError: no such run.
    """
    path, folder = expanded(path).absolute(), named_folder(path)
    if not (folder / "config.yml").is_file() and not (folder / "history").is_dir():
        raise ValueError(
            f"{path} is no run: expected a folder with config.yml and nerfstudio_models, such as "
            "outputs/bear/fasttext2style/2026-01-31_120000."
        )
    return folder
