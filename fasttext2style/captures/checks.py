"""Says what is wrong with a capture before anything is computed from it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError


def check_capture(data: Path, read_pixels: bool = True) -> None:
    """Check a capture in nerfstudio's format: `transforms.json`, its frames, and every photograph.

    Args:
        data: the folder with `transforms.json`, or such a file.
        read_pixels: decode every photograph, too (about 1 ms each by the JPEG decoder's smallest scale).

    Raises:
        ValueError: what is missing or broken, and what to do.
    """
    transforms = data if data.suffix == ".json" else data / "transforms.json"
    if not data.exists():
        raise ValueError(f"The capture {data} does not exist. Give --data the folder that holds transforms.json.")
    if not transforms.is_file():
        raise ValueError(
            f"{data} holds no transforms.json. Give --data a folder in nerfstudio's format; "
            "`ns-process-data images --data PHOTOS --output-dir FOLDER` makes one."
        )
    frames = _frames(transforms)
    paths = [transforms.parent / str(frame.get("file_path", "")) for frame in frames]
    missing = [path for path in paths if not path.is_file() and not _is_downscaled_elsewhere(path)]
    if missing:
        raise ValueError(
            f"{len(missing)} of the {len(paths)} photographs named in {transforms} are missing, first {missing[0]}. "
            "Restore them, or take their frames out of transforms.json."
        )
    if read_pixels:
        with ThreadPoolExecutor(max_workers=4) as pool:
            broken = [why for why in pool.map(_why_unreadable, paths) if why]
        if broken:
            raise ValueError(
                f"{len(broken)} of {len(paths)} photographs cannot be read, first {broken[0]}. "
                "Replace them, or take their frames out of transforms.json."
            )


@dataclass(frozen=True)
class CaptureLook:
    """What a capture holds, as far as names and heads of files tell."""

    photographs: tuple[Path, ...]
    width: int
    """Of the largest photograph, in pixels."""
    height: int
    bytes: int
    """Of all photographs."""


def look_at_capture(data: Path) -> CaptureLook:
    """Check a capture, and read the heads of its photographs.

    Raises:
        ValueError: see `check_capture`.
    """
    check_capture(data, read_pixels=False)
    transforms = data if data.suffix == ".json" else data / "transforms.json"
    named = [transforms.parent / str(frame["file_path"]) for frame in _frames(transforms)]
    # Others lie in images_2/ and so on: they are as many, and smaller.
    there = [path for path in named if path.is_file()]
    sizes = []
    for path in there:
        try:
            with Image.open(path) as image:
                sizes.append(image.size)
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"The photograph {path} cannot be read: {error}.") from error
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return CaptureLook(tuple(named), width, height, sum(path.stat().st_size for path in there))


def names_points(data: Path) -> bool:
    """Whether a capture in nerfstudio's format names a point cloud."""
    transforms = data if data.suffix == ".json" else data / "transforms.json"
    return bool(json.loads(transforms.read_text(encoding="utf8")).get("ply_file_path"))


def _frames(transforms: Path) -> list[dict]:
    try:
        meta = json.loads(transforms.read_text(encoding="utf8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{transforms} is not valid JSON: {error}. Make it again with ns-process-data.") from error
    frames = meta.get("frames") if isinstance(meta, dict) else None
    if not isinstance(frames, list) or not frames:
        raise ValueError(
            f"{transforms} has no frames: it needs a list `frames`, each with `file_path` and `transform_matrix`. "
            "Make it again with ns-process-data."
        )
    for index, frame in enumerate(frames):
        matrix = frame.get("transform_matrix")
        if not isinstance(matrix, list) or len(matrix) not in (3, 4) or any(len(row) != 4 for row in matrix):
            raise ValueError(f"Frame {index} of {transforms} has no 4x4 `transform_matrix`, got {matrix!r}.")
    return frames


def _is_downscaled_elsewhere(path: Path) -> bool:
    """nerfstudio may read images_2/, images_4/ instead: then the full-size folder need not exist."""
    folder = path.parent
    return any((folder.parent / f"{folder.name}_{factor}" / path.name).is_file() for factor in (2, 4, 8))


def _why_unreadable(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        with Image.open(path) as image:
            image.draft("RGB", (64, 64))
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        return f"{path} ({error})"
    return None
