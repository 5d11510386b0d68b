"""The file of `ns-render camera-path`, looked at before a run of ours is opened.

nerfstudio looks at it late and shows a traceback, or writes a video of nothing over the one that was there.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, TypeGuard

from fasttext2style.trust.documents import read_document

LENSES = ("perspective", "fisheye", "equirectangular", "omnidirectional", "vr180")
"""Others nerfstudio takes for the first."""
LEAST_TURN = 1e-6
"""Determinant of a rotation from which on one can look along it."""
MOST_PIXELS = 50 * 10**6
"""Of a picture; 8K has 33 million."""
MOST_SECONDS = 24 * 60 * 60
LARGEST = 1e30
"""Beyond it numbers are no places; NaN lies nowhere."""


def check_camera_path(path: Path, downscale_factor: float = 1.0) -> None:
    """Raises ValueError for a file that is no camera path, or one of which nothing, or too much, would be rendered.

    Args:
        downscale_factor: by which its width and height are divided.
    """
    try:
        document = read_document(path)
    except ValueError as error:
        raise ValueError(
            f"The camera path {path} cannot be read ({error}): give --camera-path-filename the .json that the viewer "
            "writes."
        ) from error
    if wrong := _what_is_wrong(document, downscale_factor):
        raise ValueError(
            f"The camera path {path} cannot be rendered: {wrong}. Mend it, or write it again with the viewer."
        )


def _what_is_wrong(document: dict[str, Any], downscale_factor: float) -> str:
    for name in ("seconds", "render_width", "render_height"):
        least = 0 if name == "seconds" else 1
        value = document.get(name)
        if not _is_number(value) or value <= 0 or value < least:
            return f"{name} is a number {'of 1 or more' if least else 'above 0'}, got {shortened(value)}"
    if document["seconds"] > MOST_SECONDS:
        return f"seconds is at most {MOST_SECONDS:,}, a day, got {shortened(document['seconds'])}"
    sides = [document[name] / downscale_factor for name in ("render_width", "render_height")]
    if sides[0] * sides[1] > MOST_PIXELS:
        return f"a picture has at most {MOST_PIXELS:,} pixels, got {sides[0]:,.6g} x {sides[1]:,.6g}"
    lens = document.get("camera_type", LENSES[0])
    if not isinstance(lens, str) or lens.lower() not in LENSES:
        return f"camera_type is one of {', '.join(LENSES)}, got {shortened(lens)}"
    cameras = document.get("camera_path")
    if not isinstance(cameras, list) or not cameras:
        return "camera_path holds no camera: add keyframes in the viewer first"
    for number, camera in enumerate(cameras):
        if wrong := _what_is_wrong_with_camera(camera, lens):
            return f"of camera {number}, {wrong}"
    return _what_is_wrong_with_crop(document.get("crop"))


def _what_is_wrong_with_camera(camera: Any, lens: str) -> str:
    if not isinstance(camera, dict):
        return f"expected a mapping, got a {type(camera).__name__}"
    pose, fov = camera.get("camera_to_world"), camera.get("fov")
    if isinstance(pose, list) and all(isinstance(row, list) for row in pose):
        pose = list(chain.from_iterable(pose))
    if not _are_numbers(pose, 16):
        return f"camera_to_world is a list of 16 numbers, got {shortened(pose)}"
    if not _turns(pose) >= LEAST_TURN:
        return f"camera_to_world holds no rotation, got {pose}"
    if lens in ("perspective", "fisheye") and not (_is_number(fov) and 0 < fov < 180):
        return f"fov is an angle between 0 and 180 degrees, got {shortened(fov)}"
    return ""


def _turns(pose: list[float | int]) -> float:
    """Determinant of the rotation in a row-major 4 x 4 matrix: 1, or the cube of its scale."""
    (a, b, c), (d, e, f), (g, h, i) = (pose[row : row + 3] for row in (0, 4, 8))
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _what_is_wrong_with_crop(crop: Any) -> str:
    if crop is None:
        return ""
    color = crop.get("crop_bg_color") if isinstance(crop, dict) else None
    if not isinstance(color, dict) or not all(_is_number(color.get(channel)) for channel in "rgb"):
        return "crop has crop_bg_color (numbers r, g and b), crop_center, crop_scale and crop_rot"
    for name in ("crop_center", "crop_scale"):
        if not _are_numbers(crop.get(name), 3):
            return f"{name} is a list of 3 numbers, got {shortened(crop.get(name))}"
    turns = crop.get("crop_rot", [0.0] * 3)
    # The host takes no whole numbers here.
    if not _are_numbers(turns, 3) or not all(isinstance(turn, float) for turn in turns):
        return f"crop_rot is a list of 3 numbers with decimal points, such as 0.0, got {shortened(turns)}"
    return ""


def _are_numbers(values: Any, count: int) -> TypeGuard[list[float | int]]:
    return isinstance(values, list) and len(values) == count and all(map(_is_number, values))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST
