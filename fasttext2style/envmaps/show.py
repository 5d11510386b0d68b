"""A panorama on one sheet: as it is stored, and what one sees of it along each axis."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from fasttext2style.envmaps.around import check_turn
from fasttext2style.envmaps.files import read_panorama
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.sphere import crops, integral, turned
from fasttext2style.envmaps.tones import luminance, middle_exposure, to_display
from fasttext2style.evaluation.report import labelled_rows, write_png
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.atomic import check_place

SIDE = 256
"""Of a view in pixels; the map is four of them wide."""
FOV_DEGREES = 90.0
LEVEL = {"+x": (1.0, 0, 0), "+y": (0, 1.0, 0), "-x": (-1.0, 0, 0), "-y": (0, -1.0, 0)}


def show_panorama(
    file: Path,
    output: Path,
    yaw_degrees: float | int = 0.0,
    exposure_stops: float | int | None = None,
    repair: bool = False,
) -> list[str]:
    """Write the sheet, and say in lines how bright the panorama is and where the sheet lies.

    Raises:
        ValueError: no panorama, no such turn or exposure, or the sheet cannot be written.
    """
    if output.suffix.lower() != ".png":
        raise ValueError(f"The sheet is written as .png, got --output {output}")
    check_turn(yaw_degrees, exposure_stops or 0.0)
    output = check_place(output)
    panorama = turned(read_panorama(file, at_most=1024, repair=repair), yaw_degrees)
    stops = middle_exposure(panorama) if exposure_stops is None else exposure_stops
    views = to_display(torch.cat([crops(panorama, camera) for camera in _cameras()]), stops)
    whole = to_display(resized(panorama, 2 * SIDE), stops)
    names = ", ".join(LEVEL)
    rows = {
        f"{file.name}, {stops:+.1f} stops": whole[None],
        f"along {names} (up is +z)": views[:4],
        "straight up, straight down (above: along +x)": views[4:],
    }
    try:
        write_png(output, labelled_rows(rows))
    except OSError as error:
        raise ValueError(f"{output} could not be written ({error.strerror or error})") from error
    brightest = float(luminance(panorama).max())
    mean = float(luminance(integral(panorama))) / (4 * math.pi)
    return [
        f"Mean luminance over the sphere {mean:.3g}, brightest {brightest:.3g}; shown with {stops:+.1f} stops",
        f"Sheet: {output}",
    ]


def _cameras() -> list[Cameras]:
    """Four level views, one straight up and one straight down, which have +x above and below."""
    origin = torch.zeros(1, 3)
    level = [Cameras.looking_at(origin, torch.tensor([axis]), SIDE, SIDE, FOV_DEGREES) for axis in LEVEL.values()]
    vertical = [
        Cameras.looking_at(origin, torch.tensor([[0, 0, sign]]), SIDE, SIDE, FOV_DEGREES, up=(1.0, 0, 0))
        for sign in (1.0, -1.0)
    ]
    return level + vertical
