"""What a folder is that was given for a capture and holds no transforms.json: the next command for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from shlex import quote

from fasttext2style.captures.names import PICTURES
from fasttext2style.scene.files.starts import in_order

FILMS = frozenset((".mp4", ".mov", ".avi", ".mkv", ".webm", ".insv"))
ARCHIVES = frozenset((".zip", ".tar", ".gz", ".7z", ".rar"))
SCENES = frozenset((".ply", ".spz", ".splat", ".sog"))
MOST = 20_000
"""Files that are looked at."""


def what_it_is(data: Path) -> str:
    """Goes on a sentence that begins with the name of `data`, a file or folder: what it is, and what to do with it."""
    if data.is_file():
        return _about_a_file(data)
    own = data / "transforms.json"
    if own.is_symlink() or own.exists():
        what = f"a link to {own.readlink()}, where no file is" if own.is_symlink() else "no file"
        return f"holds a transforms.json that is {what}: put the file itself there."
    start = "holds no transforms.json"
    for found, then in _KINDS:
        hit = found(data)
        if hit is not None:
            place = quote(str(hit))
            return f"{start}{then.format(here=quote(str(data)), found=place, name=hit.relative_to(data))}"
    return (
        f"{start}. Give --data a folder in nerfstudio's format; `ns-process-data images --data PHOTOS --output-dir "
        "FOLDER` makes one."
    )


def _about_a_file(path: Path) -> str:
    ending, place = path.suffix.lower(), quote(str(path))
    if ending in SCENES:
        return f"is a scene and no capture: give it by --load-ply {place}; without --data it gets views of its own."
    if ending in ARCHIVES:
        return "is an archive: unpack it, and give --data the folder."
    if ending in FILMS:
        return f"is a film: `ns-process-data video --data {place} --output-dir FOLDER` makes a capture of it."
    return "is no capture: give --data the folder that holds transforms.json."


def _there_is(*patterns: str) -> Callable[[Path], Path | None]:
    """The last by name of what lies below a folder and fits the first pattern that something fits."""

    def find(data: Path) -> Path | None:
        for pattern in patterns:
            found = in_order(islice(data.glob(pattern), MOST))
            if found:
                return found[-1]
        return None

    return find


def _with_ending(endings: Iterable[str]) -> Callable[[Path], Path | None]:
    """The first file of such an ending in a folder, or in one of its folders."""

    def find(data: Path) -> Path | None:
        files = (path for pattern in ("*", "*/*") for path in islice(data.glob(pattern), MOST))
        return next((path for path in files if path.suffix.lower() in endings and path.is_file()), None)

    return find


_KINDS: tuple[tuple[Callable[[Path], Path | None], str], ...] = (
    (
        _there_is("transforms_train.json"),
        ", but transforms_train.json, as Blender's synthetic scenes do: add `blender-data` at the end.",
    ),
    (
        _there_is("*/transforms.json", "*/*/transforms.json"),
        ", but {name} lies in it: give --data the folder of that file.",
    ),
    (
        _there_is("colmap/sparse/0", "sparse/0", "sparse"),
        ", but COLMAP's {name}: add `colmap --colmap-path {name}` at the end of the command.",
    ),
    (
        _there_is("point_cloud/iteration_*/point_cloud.ply"),
        ", but the scene of another trainer: give that by --load-ply {found}; without --data it gets views of its own.",
    ),
    (
        _there_is("keyframes"),
        "; it looks like Polycam's raw data: `ns-process-data polycam --data {here} --output-dir FOLDER` makes a "
        "capture of it.",
    ),
    (
        _there_is("EXR_RGBD"),
        "; it looks like Record3D's: `ns-process-data record3d --data {found} --output-dir FOLDER` makes a capture of "
        "it.",
    ),
    (
        _there_is("*.xml"),
        ", but {name}: if that is Metashape's, `ns-process-data metashape --xml {found} --data PHOTOS --output-dir "
        "FOLDER` makes a capture of it.",
    ),
    (
        _there_is("*.json"),
        ", but {name}: if that is in nerfstudio's format, give --data {found}.",
    ),
    (
        _with_ending(FILMS),
        ", but a film: `ns-process-data video --data {found} --output-dir FOLDER` makes a capture of it.",
    ),
    (
        _with_ending(SCENES),
        ", but a scene: give that by --load-ply {found}; without --data it gets views of its own.",
    ),
    (
        _with_ending(PICTURES),
        ", but photographs: `ns-process-data images --data {here} --output-dir FOLDER` finds out where they were taken "
        "(by COLMAP) and makes a capture of them.",
    ),
)
"""What is looked for in turn, and how the sentence goes on."""
