"""transforms.json as it lies on the disk: its frames, its numbers, its lists of names.

Other programs write it, so nothing in it is taken on trust: what is no JSON, no list, no number is said by its name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fasttext2style.trust.documents import check_density

ENDINGS = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")
"""Of photographs whose names stand in transforms.json without one, as Blender and instant-ngp write them."""
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
        raise ValueError(_no_transforms(data))
    try:
        content = path.read_bytes()
        check_density(content)
        # Some programs of Windows begin a file with a byte order mark.
        meta = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}. Make it again with ns-process-data.") from error
    frames = meta.get("frames") if isinstance(meta, dict) else None
    if not isinstance(frames, list) or not frames:
        raise ValueError(
            f"{path} has no frames: it needs a list `frames`, each with `file_path` and `transform_matrix`. "
            "Make it again with ns-process-data."
        )
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


def located(folder: Path, name: str) -> Path:
    """The photograph or mask of this name in `folder`; where it is not there, what was most likely meant.

    Names may lack their ending, Windows writes backslashes, and there (and on a Mac) upper and lower case are one.
    """
    for path in (folder / name, folder / name.replace("\\", "/")):
        if path.is_file():
            return path
        found = [path.with_name(path.name + ending) for ending in ENDINGS if path.name]
        found = [candidate for candidate in found if candidate.is_file()]
        if found:
            return found[0]
    return _in_other_case(folder, name.replace("\\", "/")) or folder / name


def _in_other_case(folder: Path, name: str) -> Path | None:
    """A file below the folder whose name differs in upper and lower case alone, if there is just one."""
    path = folder
    for part in Path(name).parts:
        try:
            entries = os.listdir(path)
        except OSError:
            return None
        alike = [entry for entry in entries if entry.casefold() == part.casefold()]
        if part not in entries and len(alike) != 1:
            return None
        path = path / (part if part in entries else alike[0])
    return path if path.is_file() else None


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
        lists[name] = [located(transforms.folder, entry) for entry in meta[name]]
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


def shown(value: Any) -> str:
    """A value of the file, short enough for a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text):,} characters)"


def is_name(value: Any) -> bool:
    """Whether a file could have this name: asking for one with zeros, halves of characters, or too long raises."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    try:
        return max(map(len, os.fsencode(value).split(b"/"))) <= 255
    except UnicodeEncodeError:
        return False


def _no_transforms(data: Path) -> str:
    start = f"{data} holds no transforms.json"
    if (data / "transforms_train.json").is_file():
        return f"{start}, but transforms_train.json, as Blender's synthetic scenes do: add `blender-data` at the end."
    colmap = next((name for name in ("colmap/sparse/0", "sparse/0", "sparse") if (data / name).is_dir()), None)
    if colmap:
        return f"{start}, but COLMAP's {colmap}: add `colmap --colmap-path {colmap}` at the end of the command."
    return (
        f"{start}. Give --data a folder in nerfstudio's format; `ns-process-data images --data PHOTOS --output-dir "
        "FOLDER` makes one."
    )
