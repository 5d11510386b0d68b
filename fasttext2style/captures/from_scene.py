"""A capture for a scene that came without photographs: cameras around it, its renders as photographs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from fasttext2style.captures.around import Around, look_around
from fasttext2style.captures.write import write_capture
from fasttext2style.scene.files.scenes import about_a_folder, read_scene
from fasttext2style.scene.files.values import WITHOUT_INVALID
from fasttext2style.terminal.console import say
from fasttext2style.trust.sizes import check_is_file

VIEWS, HELD_OUT = 36, 6
UP = {
    "x": (1.0, 0.0, 0.0),
    "y": (0.0, 1.0, 0.0),
    "z": (0.0, 0.0, 1.0),
    "-x": (-1.0, 0.0, 0.0),
    "-y": (0.0, -1.0, 0.0),
    "-z": (0.0, 0.0, -1.0),
}


def capture_folder(output: Path, ply: Path) -> Path:
    """Where the capture of a scene lies among a user's runs: another file of the same name has another one.

    Raises:
        ValueError: the file cannot be read.
    """
    if ply.is_dir():
        raise ValueError(f"--load-ply: {about_a_folder(ply)}.")
    digest = hashlib.blake2b(digest_size=4)
    check_is_file(ply)
    try:
        with ply.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    except OSError as error:
        raise ValueError(
            f"--load-ply {ply} cannot be read ({error}); expected a 3DGS .ply, .spz, .sog or .splat."
        ) from error
    return output / ply.stem / f"capture-{digest.hexdigest()}"


LARGEST_SIDE = 4096
"""Pixels: all photographs together are 1.5 GB then, and are drawn one after the other."""


def capture_of_scene(
    ply: Path, folder: Path, up: str = "auto", inside: bool = False, size: int = 256, drop_invalid: bool = False
) -> Around:
    """Write a capture of a 3DGS scene (.ply, .spz, .sog, .splat) into a folder, and say what was guessed.

    Args:
        up: "auto", or an axis of `UP`.
        inside: from the middle of the scene outwards, rather than around it.
        size: of the square photographs, in pixels.
        drop_invalid: leave out Gaussians that are no numbers.

    Raises:
        ValueError: no such file, nothing solid in it, settings out of range, or a folder that holds another capture.
    """
    if up != "auto" and up not in UP:
        raise ValueError(f"Up is auto or one of {', '.join(UP)}, got {up!r}.")
    if not 32 <= size <= LARGEST_SIDE:
        raise ValueError(f"Photographs of at least 32 pixels are needed, and of at most {LARGEST_SIDE}, got {size}.")
    if not ply.exists():
        raise ValueError(f"{ply} does not exist; expected a 3DGS .ply, .spz, .sog or .splat.")
    if (folder / "transforms.json").exists():
        raise ValueError(f"{folder} holds a capture already: name another folder, or use it by --data {folder}.")
    gaussians = read_scene(ply, drop_invalid, f"add --drop-invalid, or {WITHOUT_INVALID}")
    around = look_around(gaussians, None if up == "auto" else torch.tensor(UP[up]), inside)
    views = around.views(VIEWS, size)
    held_out = list(range(2, VIEWS, VIEWS // HELD_OUT))
    train = [view for view in range(VIEWS) if view not in held_out]
    write_capture(folder, gaussians, {"train": views[train], "test": views[held_out]})
    where = "from the middle outwards" if around.inside else f"around the middle, from {around.radius:.2f} away"
    axis = ", ".join(f"{value:.2f}" for value in around.up.tolist())
    say(f"{VIEWS} views of {ply.name} {where}, up is ({axis}): {folder / 'images'}")
    return around
