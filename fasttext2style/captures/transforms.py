"""transforms.json as it lies on the disk: its frames, its numbers, its lists of names.

Other programs write it, so nothing in it is taken on trust: what is no JSON, no list, no number is said by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fasttext2style.captures.folders import what_it_is
from fasttext2style.captures.names import Finder, is_name
from fasttext2style.trust.documents import check_density

LARGEST = 1e15
"""Of numbers: they become 32 bits, and are squared."""
SPLITS = ("train_filenames", "val_filenames", "test_filenames")
ORIENTATIONS = ("pca", "up", "vertical", "none")


@dataclass(frozen=True)
class Transforms:
    """A transforms.json whose frames are named and whose lists are lists; its cameras are not looked at yet."""

    path: Path
    meta: dict[str, Any]
    frames: tuple[dict[str, Any], ...]

    @property
    def folder(self) -> Path:
        """Whole: the plain capture lies elsewhere."""
        return self.path.parent.absolute()

    @cached_property
    def files(self) -> Finder:
        """Of photographs, masks and points."""
        return Finder(self.folder)

    def name(self, index: int) -> str:
        """Of a frame, for messages."""
        return f"Frame {index} ({self.frames[index]['file_path']}) of {self.path}"


def read_transforms(data: Path) -> Transforms:
    """Read the transforms.json of a capture.

    Args:
        data: the folder with `transforms.json`, or such a file.

    Raises:
        ValueError: it is not there, is no JSON, or has no frames with names.
    """
    path = data if data.suffix == ".json" else data / "transforms.json"
    if not data.exists():
        raise ValueError(f"The capture {data} does not exist. Give --data the folder that holds transforms.json.")
    if not path.is_file():
        raise ValueError(f"{data} {what_it_is(data)}")
    try:
        content = path.read_bytes()
        check_density(content)
        # Whether with a byte order mark, or in the 16 bits that some programs of Windows write.
        meta = json.loads(content, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not valid JSON: {error}. Correct it there, or make it again with ns-process-data."
        ) from error
    frames = meta.get("frames") if isinstance(meta, dict) else None
    if not isinstance(frames, list) or not frames:
        raise ValueError(
            f"{path} has no frames: it needs a list `frames`, each with `file_path` and `transform_matrix`. "
            "Make it again with ns-process-data."
        )
    # What is null, or an empty text, is not given.
    meta, frames = _given(meta), [_given(frame) if isinstance(frame, dict) else frame for frame in frames]
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict) or not is_name(frame.get("file_path")):
            raise ValueError(
                f"Frame {index} of {path} has no `file_path` with the name of a photograph, got {shown(frame)}. Make "
                "it again with ns-process-data."
            )
    orientation = meta.get("orientation_override", "up")
    if orientation not in ORIENTATIONS:
        raise ValueError(
            f"orientation_override in {path} is one of {', '.join(ORIENTATIONS)}, got {shown(orientation)}: correct "
            "it, or take it out."
        )
    return Transforms(path, meta, tuple(frames))


def split_lists(transforms: Transforms, photographs: Iterable[Path]) -> dict[str, list[str]]:
    """The lists of photographs for training, validation and test; nothing if there are none.

    Whoever gives one of validation and test means it for both.

    Raises:
        ValueError: no list, a name that is none of the capture's, or nobody knows what to train on or what to hold out.
    """
    meta, path = transforms.meta, transforms.path
    given = [name for name in SPLITS if name in meta]
    if not given:
        return {}
    known, lists = set(photographs), {}
    for name in given:
        if not isinstance(meta[name], list) or not all(is_name(entry) for entry in meta[name]):
            raise ValueError(f"{name} in {path} is a list of file names, got {shown(meta[name])}.")
        lists[name] = [transforms.files.locate(entry) for entry in meta[name]]
        strangers = [file for file in lists[name] if file not in known]
        if strangers:
            raise ValueError(
                f"{len(strangers)} of the {len(lists[name])} names of {name} in {path} belong to no frame, first "
                f"{strangers[0]}. Take them out, or add their frames."
            )
    if not lists.get("train_filenames"):
        raise ValueError(
            f"{path} has {' and '.join(given)}, but {'an empty' if 'train_filenames' in lists else 'no'} "
            "train_filenames: add the names of the photographs to train on, or take all three lists out (then every "
            "tenth is held out)."
        )
    held_out = lists.get("val_filenames", lists.get("test_filenames"))
    if held_out is None:
        raise ValueError(
            f"{path} has train_filenames, but neither val_filenames nor test_filenames: add the names of the "
            "photographs to hold out as val_filenames, or take train_filenames out (then every tenth is held out)."
        )
    lists = {"val_filenames": held_out, "test_filenames": held_out} | lists
    return {name: [str(file) for file in files] for name, files in lists.items()}


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of whose entries nobody knows which one counts if two of a name differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            if found[key] != value and found[key] == found[key]:
                raise ValueError(f"{shown(key)} stands in it twice, as {shown(value)} and as {shown(found[key])}")
    return found


def number(value: Any, what: str) -> float:
    """A number that 32 bits can reckon with, also one that is written as text.

    Args:
        what: begins the message.

    Raises:
        ValueError: it is none.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        found = float(value)
        if not abs(found) <= LARGEST:
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(f"{what} should be a finite number, got {shown(value)}.") from None
    return found


def table(value: Any, rows: tuple[int, ...], columns: int, what: str) -> list[list[float]]:
    """A matrix of finite numbers.

    Raises:
        ValueError: it is none, or of another size.
    """
    fits = isinstance(value, list) and len(value) in rows
    if not fits or any(not isinstance(row, list) or len(row) != columns for row in value):
        sizes = " or ".join(f"{count} rows" for count in rows)
        raise ValueError(f"{what} should have {sizes} of {columns} numbers, got {shown(value)}.")
    return [[number(entry, what) for entry in row] for row in value]


def _given(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None and value != ""}


def shown(value: Any) -> str:
    """A value of the file, short enough for a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text):,} characters)"
