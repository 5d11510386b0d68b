"""A capture in the plain form that nerfstudio's parser reads without a question.

Every frame has all numbers of its camera, its pose in four rows, and the place where its photograph is; nothing in it
can be missed, taken for something else, or found to be missing later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fasttext2style.captures.cameras import camera_model, check_far_away, intrinsics, pose, resized
from fasttext2style.captures.masks import check_masks
from fasttext2style.captures.names import is_name
from fasttext2style.captures.photographs import Head, read_heads, turned_as, wrong_size
from fasttext2style.captures.transforms import (
    Transforms,
    number,
    read_transforms,
    shown,
    split_lists,
    table,
)
from fasttext2style.trust.text import one_line

LARGEST = 1600
"""Photographs above so many pixels are taken from images_2, images_4 ... if these are there: nerfstudio's rule."""
OLD_COLMAP = [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0]]
"""What ns-process-data did to COLMAP's coordinates before it wrote applied_transform down."""


@dataclass(frozen=True)
class PlainCapture:
    """What is known of a capture when all headers have been read."""

    meta: dict[str, Any]
    """The content of a transforms.json; its paths are whole."""
    heads: tuple[Head, ...]
    """Of the photographs that are trained on, in the order of the frames."""
    turns: tuple[int, ...]
    """The EXIF orientation by which each becomes as large as its camera says."""
    notes: tuple[str, ...] = field(default=())
    """What the reader should know although the work goes on."""

    @property
    def photographs(self) -> list[Path]:
        return [head.path for head in self.heads]


def plain_capture(data: Path, downscale_factor: float | int | None = None) -> PlainCapture:
    """Read a transforms.json and the headers of all that it names.

    Args:
        data: the folder with `transforms.json`, or such a file.
        downscale_factor: take the photographs of images_2, images_4 ...; None chooses as nerfstudio does.

    Raises:
        ValueError: the first thing that is wrong, and what to do.
    """
    try:
        return _read(data, downscale_factor)
    except ValueError as error:
        # Names of files may hold anything.
        raise ValueError(one_line(str(error))) from error


def _read(data: Path, downscale_factor: float | int | None) -> PlainCapture:
    transforms = read_transforms(data)
    model = camera_model(transforms)
    poses = [pose(transforms, index) for index in range(len(transforms.frames))]
    check_far_away(transforms, np.array(poses))
    names = [transforms.files.locate(frame["file_path"]) for frame in transforms.frames]
    factor = _downscale_factor(transforms, names) if downscale_factor is None else _whole(downscale_factor)
    heads = _heads(transforms, [_downscaled(transforms.folder, path, "images_", factor) for path in names], factor)
    frames, turns = [], []
    for index, head in enumerate(heads):
        given = intrinsics(transforms, index, model, (head.width * factor, head.height * factor))
        camera = _as_the_photograph_is(given, head, factor)
        turns.append(turned_as(head, (camera["w"], camera["h"])) or 1)
        frames.append({"file_path": str(head.path), "transform_matrix": poses[index], **camera})
    if len({head.path for head in heads}) < len(heads):
        _check_twins(transforms, heads, poses)
    masks = _masks(transforms, factor)
    if masks:
        check_masks(masks, [(frame["w"], frame["h"]) for frame in frames], turns)
        frames = [frame | {"mask_path": str(mask)} for frame, mask in zip(frames, masks)]
    meta = {"camera_model": model, "frames": frames, **_the_rest(transforms)}
    lists = split_lists(transforms, names)
    moved = {str(name): str(head.path) for name, head in zip(names, heads)}
    meta |= {name: [moved[entry] for entry in entries] for name, entries in lists.items()}
    notes = [*_notes(transforms, heads, turns), *_notes_on_lists(transforms, meta)]
    return PlainCapture(meta, tuple(heads), tuple(turns), tuple(notes))


def places(meta: dict[str, Any]) -> np.ndarray:
    """[views, 4, 4] poses of a plain capture."""
    return np.array([frame["transform_matrix"] for frame in meta["frames"]])


def _whole(factor: float | int) -> int:
    """The factor that was asked for; ns-render hands on 2 as 2.0."""
    if not 1 <= factor < 1000 or factor != int(factor):
        raise ValueError(
            "--downscale-factor is a whole number from 1 on (2 takes the photographs of images_2), got "
            f"{factor}: leave it out to have it chosen."
        )
    return int(factor)


def _heads(transforms: Transforms, paths: list[Path], factor: int) -> list[Head]:
    missing = [path for path in paths if not path.is_file()]
    if missing and factor > 1:
        raise ValueError(
            f"{len(missing)} of the {len(paths)} smaller photographs are missing that --downscale-factor {factor} "
            f"takes, first {missing[0]}{_what_is_there(missing[0])}. Leave it out, or restore them."
        )
    if missing:
        raise ValueError(
            f"{len(missing)} of the {len(paths)} photographs named in {transforms.path} are missing, first "
            f"{missing[0]}{_what_is_there(missing[0])}. Restore them, or take their frames out of transforms.json."
        )
    heads, broken = read_heads(paths)
    if broken:
        raise ValueError(
            f"{len(broken)} of {len(paths)} photographs cannot be read, first {broken[0]}. Replace them, or take their "
            "frames out of transforms.json."
        )
    return heads


def _what_is_there(path: Path) -> str:
    """In place of a photograph, if anything is."""
    if path.is_symlink():
        return f" (a link to {path.readlink()}, where none is)"
    if path.is_dir():
        return " (a folder)"
    return " (no file, but a device or a pipe)" if path.exists() else ""


def _as_the_photograph_is(camera: dict[str, Any], head: Head, factor: int) -> dict[str, Any]:
    """A camera of whole size for a photograph of images_2 and so on, whose sides were rounded by whoever made them.

    Raises:
        ValueError: the photograph has another size.
    """
    said = (camera["w"], camera["h"])
    if factor == 1:
        if turned_as(head, said) is None:
            raise ValueError(wrong_size(head, said))
        return camera
    for size in (head.size, head.upright):
        if all(abs(side - whole / factor) <= 1 for side, whole in zip(size, said)):
            return resized(camera, *size)
    raise ValueError(wrong_size(head, (said[0] // factor, said[1] // factor)))


def _downscale_factor(transforms: Transforms, names: list[Path]) -> int:
    """1, or the power of 2 at which the first photograph is small enough, as far as folders of all of them go."""
    first, folder = names[0], transforms.folder
    smaller = [
        factor for factor in (2, 4, 8) if all(_downscaled(folder, name, "images_", factor).is_file() for name in names)
    ]
    if not first.is_file():
        return smaller[0] if smaller else 1
    heads, _ = read_heads([first])
    factor, longest = 1, max(heads[0].size) if heads else 0  # what is wrong with it is said with all others
    while longest / factor > LARGEST and 2 * factor in smaller:
        factor *= 2
    return factor


def _downscaled(folder: Path, path: Path, prefix: str, factor: int) -> Path:
    """Where nerfstudio looks for a smaller one."""
    return folder / f"{prefix}{factor}" / path.name if factor > 1 else path


def _masks(transforms: Transforms, factor: int) -> list[Path]:
    """Masks of what to train on, one for each frame; none if there are none.

    Raises:
        ValueError: some frames have one, and others none.
    """
    named = [index for index, frame in enumerate(transforms.frames) if "mask_path" in frame]
    if not named:
        return []
    count = len(transforms.frames)
    if len(named) < count:
        without = next(index for index in range(count) if index not in named)
        raise ValueError(
            f"{len(named)} of {count} frames of {transforms.path} have a mask_path, {transforms.name(without)} has "
            "none: give all of them one (a white picture where nothing is masked), or none. Masks of the object alone "
            "are given by --pipeline.datamanager.object-masks FOLDER."
        )
    paths = []
    for index, frame in enumerate(transforms.frames):
        if not is_name(frame["mask_path"]):
            raise ValueError(f"{transforms.name(index)}: mask_path is a file name, got {shown(frame['mask_path'])}.")
        whole = transforms.files.locate(frame["mask_path"], is_photograph=False)
        small = _downscaled(transforms.folder, whole, "masks_", factor)
        # Masks are brought to the photograph's size in any case.
        paths.append(small if small.is_file() else whole)
    return paths


def _the_rest(transforms: Transforms) -> dict[str, Any]:
    """What nerfstudio reads besides cameras and photographs. Depth maps are none of it: nothing here looks at them."""
    meta, path = transforms.meta, transforms.path
    rest: dict[str, Any] = {}
    if "orientation_override" in meta:
        rest["orientation_override"] = meta["orientation_override"]
    if "applied_transform" in meta:
        rest["applied_transform"] = table(meta["applied_transform"], (3, 4), 4, f"applied_transform in {path}")[:3]
        if np.linalg.matrix_rank(np.array(rest["applied_transform"])[:, :3]) < 3:
            raise ValueError(f"applied_transform in {path} is no rotation: correct it, or take it out.")
    elif (transforms.folder / "colmap" / "sparse" / "0").exists():
        rest["applied_transform"] = OLD_COLMAP
    if "applied_scale" in meta:
        rest["applied_scale"] = number(meta["applied_scale"], f"applied_scale in {path}")
        if rest["applied_scale"] <= 0:
            raise ValueError(f"applied_scale in {path} is above 0, got {rest['applied_scale']:.6g}.")
    points = meta.get("ply_file_path")
    if points and not is_name(points):
        raise ValueError(f"ply_file_path in {path} is a file name, got {shown(points)}.")
    if points:
        rest["ply_file_path"] = str(transforms.files.locate(points, is_photograph=False))
    return rest


def _check_twins(transforms: Transforms, heads: list[Head], poses: list[list[list[float]]]) -> None:
    seen: dict[Path, int] = {}
    for index, head in enumerate(heads):
        first = seen.setdefault(head.path, index)
        if not np.allclose(poses[first], poses[index], atol=1e-6):
            raise ValueError(
                f"{transforms.name(first)} and frame {index} are the same photograph at different places: take one of "
                "them out."
            )


def _notes(transforms: Transforms, heads: list[Head], turns: list[int]) -> list[str]:
    turned = [head for head, turn in zip(heads, turns) if turn > 1]
    kept = [head for head, turn in zip(heads, turns) if turn == 1]
    unclear = [head for head in kept if head.orientation > 1 and head.size == head.upright]
    notes = []
    elsewhere = transforms.files.elsewhere
    if elsewhere:
        name, path = next(iter(elsewhere.items()))
        notes.append(
            f"{len(elsewhere)} files are not where {transforms.path} says, and are taken from where they seem to be: "
            f"first {path} for {shown(name)}."
        )
    if turned:
        notes.append(
            f"{len(turned)} of {len(heads)} photographs, first {turned[0].path}, are turned by their EXIF orientation: "
            "transforms.json has their size as it is then."
        )
    if unclear:
        notes.append(
            f"{len(unclear)} of {len(heads)} photographs, first {unclear[0].path}, have an EXIF orientation that their "
            "size does not confirm: they are taken as they are stored, as nerfstudio takes them."
        )
    return notes


def _notes_on_lists(transforms: Transforms, meta: dict[str, Any]) -> list[str]:
    held_out, trained = meta.get("val_filenames", []), set(meta.get("train_filenames", []))
    both = [name for name in held_out if name in trained]
    if not both:
        return []
    return [
        f"{len(both)} of the {len(held_out)} photographs that {transforms.path} holds out (val_filenames) are also "
        f"trained on (train_filenames), first {both[0]}: numbers on them say how well the scene learnt, not how well "
        "it sees what is new."
    ]
