"""A scene from any kind of file that people have one in: .ply, compressed .ply, .spz, .sog, .splat."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import NamedTuple

import numpy as np
import torch

from fasttext2style.scene.files.compact_reading import read_splat, read_spz
from fasttext2style.scene.files.ply import (
    gaussians_of_vertices,
    invalid_rows,
    is_packed_ply,
    map_vertices,
    read_packed_ply,
    read_ply,
    write_ply,
)
from fasttext2style.scene.files.sog import read_sog
from fasttext2style.scene.files.starts import in_order, not_what_it_is_called, read_start
from fasttext2style.scene.files.values import WITHOUT_INVALID, without_invalid_rows
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.trust.sizes import check_is_file

COMPACT: dict[str, Callable[[Path], Gaussians]] = {".spz": read_spz, ".splat": read_splat, ".sog": read_sog}
"""Suffix -> what reads it."""
STARTS = {b"ply\n": ".ply", b"ply\r": ".ply", b"\x1f\x8b\x08": ".spz", b"NGSP": ".spz", b"PK\x03\x04": ".sog"}
"""First bytes -> suffix; a .splat has none of its own."""
SCENES_IN_FOLDERS = ("*.sog", "*.splat", "*.spz", "*.ply", "point_cloud/iteration_*/point_cloud.ply")
"""Where trainers leave a scene, the likeliest last."""
CONVERT = "`npx @playcanvas/splat-transform {path} scene.ply` converts most others, SuperSplat too."
"""From the .ksplat of viewers, too."""


def read_scene(path: Path | str, drop_invalid: bool = False, remedy: str = WITHOUT_INVALID) -> Gaussians:
    """The scene in a file, on the CPU; its suffix says what it is. Arguments are those of `read_ply`.

    Raises:
        ValueError: another kind of file, damaged, no Gaussians in it, or rows with NaN or infinite values.
        OSError: it cannot be opened.
    """
    path = Path(path)
    _check_suffix(path)
    if path.suffix.lower() == ".ply":
        return read_ply(path, drop_invalid, remedy)
    return without_invalid_rows(COMPACT[path.suffix.lower()](path), path, drop_invalid, remedy)


class Survey(NamedTuple):
    """What is in a file."""

    valid: int
    """Gaussians that are numbers."""
    invalid: int
    """Those with NaN or infinite values."""
    some: Gaussians
    """At most so many valid ones, evenly spread."""


def survey(path: Path, at_most: int) -> Survey:
    """Look at a scene without holding it in memory, if it lies in rows on the disk.

    Raises:
        ValueError: as `read_scene`, but for invalid rows.
        OSError: it cannot be opened.
    """
    if not lies_in_rows(path):
        scene = _as_it_is(path)
        bad = list(scene.invalid_rows().values())
        valid = ~torch.stack(bad).any(dim=0) if bad else torch.ones(len(scene), dtype=torch.bool)
        rows = valid.nonzero()[:, 0]
        return Survey(len(rows), len(scene) - len(rows), scene.subset(rows[:: max(1, -(-len(rows) // at_most))]))
    vertices = map_vertices(path)
    found = np.flatnonzero(~invalid_rows(vertices, path))
    chosen = found[:: max(1, -(-len(found) // at_most))]
    return Survey(len(found), len(vertices) - len(found), gaussians_of_vertices(vertices[chosen], path))


def lies_in_rows(path: Path) -> bool:
    """Whether a file is a plain .ply, whose Gaussians can be compared one by one, bit by bit, on the disk.

    Raises:
        ValueError: a kind of file that is not read.
        OSError: it cannot be opened.
    """
    _check_suffix(path)
    return path.suffix.lower() == ".ply" and not is_packed_ply(path)


def in_rows(path: Path, copy: Path) -> str:
    """Write a scene as a plain .ply of valid Gaussians, unless it is one; returns why, empty: it is one.

    Raises:
        ValueError: as `read_scene`, with its invalid rows left out; or the copy cannot be written.
    """
    if lies_in_rows(path):
        vertices = map_vertices(path)
        if not bool(invalid_rows(vertices, path).any()):
            return ""
        whole = gaussians_of_vertices(vertices, path)
    else:
        whole = _as_it_is(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said by whoever asked
        scene = without_invalid_rows(whole, path, drop_invalid=True)
    write_ply(copy, scene)
    if len(scene) < len(whole):
        left_out = f"{len(whole) - len(scene):,} Gaussians of {path} have NaN or infinite values and are left out"
        return f"{left_out}; the others: {copy}"
    return f"{path.name} is compact: the run starts from what it unpacks to, {copy}"


def _as_it_is(path: Path) -> Gaussians:
    if path.suffix.lower() in COMPACT:
        return COMPACT[path.suffix.lower()](path)
    return read_packed_ply(path)


def _check_suffix(path: Path) -> None:
    """Raises ValueError for what is no scene by its name, or begins as something else does."""
    if path.is_dir():
        raise ValueError(about_a_folder(path))
    suffix = path.suffix.lower()
    if suffix not in (".ply", *COMPACT):
        raise ValueError(
            f"{path} is no scene that is read here: expected a 3DGS .ply (also a compressed one), .spz, .sog or "
            f".splat. {CONVERT.format(path=quote(str(path)))}"
        )
    check_is_file(path)
    start = read_start(path)
    what = not_what_it_is_called(start) if start else ""
    if what:
        raise ValueError(f"{path} is {what}")
    begins_as = next((kind for mark, kind in STARTS.items() if start.startswith(mark)), suffix)
    if begins_as != suffix:
        raise ValueError(f"{path} begins as {begins_as} files do: name it {path.with_suffix(begins_as).name}")


def about_a_folder(path: Path) -> str:
    """What to name in place of a folder."""
    found = [scene for pattern in SCENES_IN_FOLDERS for scene in in_order(islice(path.glob(pattern), 1000))]
    if not found:
        return f"{path} is a folder, and a scene is a file: a 3DGS .ply, .spz, .sog or .splat"
    return f"{path} is a folder; a scene in it is {quote(str(found[-1]))}: name that"
