"""Cameras of a transforms.json: models under any spelling, angles for focal lengths, poses of 3 or 4 rows.

Poses are camera to world, x right, y up, looking along -z (nerfstudio's and Blender's convention).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fasttext2style.captures.transforms import Transforms, number, shown, table

PINHOLES = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
FISHEYE = "OPENCV_FISHEYE"
SPELLINGS = {name.replace("_", ""): name for name in (*PINHOLES, FISHEYE)} | {
    "PERSPECTIVE": "PINHOLE",
    "FISHEYE": FISHEYE,
    "OPENCVFISHEYE4": FISHEYE,
    # COLMAP's with fewer terms of the same polynomial.
    "RADIALFISHEYE": FISHEYE,
    "SIMPLERADIALFISHEYE": FISHEYE,
}
"""Name without spaces and underlines -> the name that nerfstudio knows."""
PANORAMAS = ("EQUIRECTANGULAR", "SPHERICAL", "SPHERE", "PANORAMA", "LATLONG")
LENSES_OF_NGP = {
    "equirectangular": "EQUIRECTANGULAR",
    "latlong": "LATLONG",
    "ftheta_p0": "FTHETA",
    "is_fisheye": FISHEYE,
}
"""Words by which instant-ngp's files name a lens, instead of `camera_model` -> the lens."""
RADIAL, TANGENTIAL = ("k1", "k2", "k3", "k4"), ("p1", "p2")
NEARLY_EQUIDISTANT = 1e-12
"""k1 of a fisheye lens without distortion: nerfstudio takes all zeros for a pinhole and leaves the picture as it is."""
WIDEST = 0.05
"""Least focal length as a part of the longer side: a fisheye of 220 degrees has .26, a pinhole of 168 degrees .05."""
SKEW = 0.05
"""How far from 1, or from 0, the products of a rotation's axes may be; calibrations of phones are good to .001."""

FARTHEST = 2e-4
"""Least distance of the cameras from each other, as a part of their coordinates: below it, 32 bits round places to more
than a 3,000th of that distance."""

Intrinsics = dict[str, Any]
"""Under nerfstudio's names: fl_x, fl_y, cx, cy in pixels, w, h, and distortion_params (k1, k2, k3, k4, p1, p2)."""


def camera_model(transforms: Transforms) -> str:
    """nerfstudio's name of the lens that all photographs were taken with.

    Raises:
        ValueError: several, or one that nerfstudio or Gaussians cannot represent.
    """
    of_frames = [frame["camera_model"] for frame in transforms.frames if "camera_model" in frame]
    of_ngp = _lens_of_ngp(transforms)
    named = {shown(model) for model in of_frames}
    if len(named) == 1 and len(of_frames) == len(transforms.frames):
        given = of_frames[0]
    else:
        given = transforms.meta.get("camera_model", of_ngp or "PINHOLE")
        if named and named != {shown(given)}:
            raise ValueError(
                f"{transforms.path} has photographs of different camera models ({', '.join(sorted(named))}), but "
                "nerfstudio has one for a capture: undistort them (`colmap image_undistorter`), or leave some out."
            )
    # "OpenCV fisheye", "opencv-fisheye" and "OPENCV_FISHEYE" are one.
    plain = "".join(char for char in str(given).upper() if char.isalnum())
    if isinstance(given, str) and plain in SPELLINGS:
        if of_ngp not in ("", SPELLINGS[plain]):
            word = next(word for word, lens in LENSES_OF_NGP.items() if lens == of_ngp)
            raise ValueError(
                f"{transforms.path} contradicts itself: camera_model is {shown(given)}, and {word} says {of_ngp}. Take "
                "out the one that is wrong."
            )
        return SPELLINGS[plain]
    start = f"camera_model in {transforms.path} is {shown(given)}"
    if plain in PANORAMAS:
        raise ValueError(
            f"{start}: Gaussians are not reconstructed from panoramas. Cut them into pinhole pictures: "
            "`ns-process-data images --camera-type equirectangular --images-per-equirect 8 ...`."
        )
    raise ValueError(
        f"{start}, which cannot be used here; these can: {', '.join((*PINHOLES, FISHEYE))}. Undistort the photographs "
        "(`colmap image_undistorter` makes them PINHOLE), or write OPENCV if k4, k5 and k6 are 0."
    )


def _lens_of_ngp(transforms: Transforms) -> str:
    """By the words of instant-ngp; "" if none of them says anything."""
    holders = (transforms.meta, *transforms.frames)
    for word, lens in LENSES_OF_NGP.items():
        said = [holder[word] for holder in holders if word in holder]
        if said and (lens == "FTHETA" or any(value in (True, 1) for value in said)):
            return lens
    return ""


def intrinsics(transforms: Transforms, index: int, model: str, stored: tuple[int, int]) -> Intrinsics:
    """The numbers of a frame's camera, its own before those of the whole capture.

    What is not given follows: a focal length from an angle of view, fl_y from fl_x, w and h from the photograph, cx and
    cy from w and h.

    Args:
        model: nerfstudio's name of it.
        stored: width and height of the photograph.

    Raises:
        ValueError: something is missing or no number, or the lens bends light in a way that cannot be undone here.
    """
    frame, name = transforms.frames[index], transforms.name(index)
    given = {**transforms.meta, **frame}
    width = _whole(given["w"], f"{name}: w") if "w" in given else stored[0]
    height = _whole(given["h"], f"{name}: h") if "h" in given else stored[1]
    fl_x = _focal(given, "x", width, name)
    fl_y = _focal(given, "y", height, name) or fl_x
    if fl_x is None or fl_y is None:
        raise ValueError(
            f"{name} has no focal length: expected fl_x in pixels, or camera_angle_x in radians, in transforms.json "
            "or in the frame."
        )
    for key, focal in (("fl_x", fl_x), ("fl_y", fl_y)):
        if focal < WIDEST * max(width, height):
            raise ValueError(
                f"{name}: {key} is {focal:.6g} pixels, of a photograph of {width} x {height}: is it in pixels? Nothing "
                "sees as wide as that."
            )
    cx = number(given["cx"], f"{name}: cx") if "cx" in given else width / 2
    cy = number(given["cy"], f"{name}: cy") if "cy" in given else height / 2
    for key, center, side in (("cx", cx, width), ("cy", cy, height)):
        if side > 4 and "cx" in given and 0 < center <= 1:
            raise ValueError(f"{name}: {key} is {center:.6g}: it is counted in pixels, so multiply it by {side}.")
        if not 0 <= center <= side:
            raise ValueError(
                f"{name}: {key} is {center:.6g}, but its photograph has {width} x {height} pixels. Was that resized or "
                "cropped after transforms.json was written? Put the original back, or correct cx, cy, fl_x and fl_y."
            )
    return {
        "w": width,
        "h": height,
        "fl_x": fl_x,
        "fl_y": fl_y,
        "cx": cx,
        "cy": cy,
        "distortion_params": _distortion(frame, transforms.meta, model, name),
    }


def resized(camera: Intrinsics, width: int, height: int) -> Intrinsics:
    """The same camera for a photograph of another number of pixels."""
    across, down = width / camera["w"], height / camera["h"]
    sides = {"w": width, "h": height, "fl_x": camera["fl_x"] * across, "fl_y": camera["fl_y"] * down}
    return camera | sides | {"cx": camera["cx"] * across, "cy": camera["cy"] * down}


def pose(transforms: Transforms, index: int) -> list[list[float]]:
    """[4, 4] where a frame's camera stands and how it is turned; 3 rows are completed, lengths of axes made 1.

    Raises:
        ValueError: no such matrix, or one that is no pose: mirrored, skewed, transposed, or without direction.
    """
    name = transforms.name(index)
    given = transforms.frames[index].get("transform_matrix")
    if given is None:
        raise ValueError(f"{name} has no 4x4 `transform_matrix`. Take the frame out, or make transforms.json again.")
    matrix = np.array(table(given, (3, 4), 4, f"{name}: its 4x4 `transform_matrix`"))
    if len(matrix) == 4 and not np.allclose(matrix[3] / (matrix[3, 3] or 1), [0, 0, 0, 1], atol=1e-6):
        raise ValueError(
            f"{name}: the last row of its transform_matrix is {shown(matrix[3].tolist())}, not 0, 0, 0, 1. Was it "
            "written column by column? Then transpose it."
        )
    axes = matrix[:3, :3]
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(axes, axis=0)
        axes = axes / lengths
        products = axes.T @ axes
        fine = np.isfinite(axes).all() and np.abs(products - np.eye(3)).max() <= SKEW
    if not fine:
        raise ValueError(
            f"{name}: its transform_matrix is no pose (camera to world: three axes at right angles, and a place), got "
            f"{shown(given)}. Take the frame out, or make transforms.json again."
        )
    if np.linalg.det(axes) < 0:
        raise ValueError(
            f"{name}: its transform_matrix mirrors the picture (its axes are left-handed). Poses are camera to world "
            "with x right, y up and z backwards: change the sign of one axis where they are made."
        )
    return [[*axis, place] for axis, place in zip(axes.tolist(), matrix[:3, 3].tolist())] + [[0.0, 0.0, 0.0, 1.0]]


def check_far_away(transforms: Transforms, poses: np.ndarray) -> None:
    """Raises ValueError for [views, 4, 4] cameras so far from the origin that 32 bits cannot tell their places apart:
    maps count metres from the equator."""
    places = poses[:, :3, 3]
    middle, reach = places.mean(axis=0), float(np.ptp(places, axis=0).max())
    if reach <= 1e-6 or reach > FARTHEST * float(np.abs(middle).max()):
        return
    offset = ", ".join(f"{value:.0f}" for value in middle)
    raise ValueError(
        f"The cameras of {transforms.path} stand around ({offset}) and at most {reach:.3g} apart: scenes are reckoned "
        f"with in 32 bits, which cannot tell such places apart. Subtract ({offset}) from the last column of each "
        "transform_matrix, and from the point cloud."
    )


def stand_at_one_place(poses: np.ndarray) -> bool:
    """Whether all [views, 4, 4] cameras stand where one of them does, as on a tripod: nothing has a depth then."""
    places = poses[:, :3, 3]
    return bool(np.ptp(places, axis=0).max() <= 1e-6 * max(1.0, float(np.abs(places).max())))


def _focal(given: Mapping[str, Any], axis: str, side: int, name: str) -> float | None:
    """In pixels, None if neither it nor an angle is given: in radians, or instant-ngp's in degrees."""
    key, angle_key, degrees_key = f"fl_{axis}", f"camera_angle_{axis}", f"{axis}_fov"
    if key in given:
        focal = number(given[key], f"{name}: {key}")
        if focal <= 0:
            raise ValueError(f"{name}: {key} is in pixels and above 0, got {focal:.6g}.")
        return focal
    if angle_key in given:
        angle = number(given[angle_key], f"{name}: {angle_key}")
        if not 0 < angle < math.pi:
            degrees = f" {angle:.6g} degrees are {math.radians(angle):.6g}." if math.pi <= angle < 180 else ""
            raise ValueError(f"{name}: {angle_key} is in radians, above 0 and below pi, got {angle:.6g}.{degrees}")
        return side / 2 / math.tan(angle / 2)
    if degrees_key in given:
        degrees = number(given[degrees_key], f"{name}: {degrees_key}")
        if not math.pi < degrees < 180:
            raise ValueError(f"{name}: {degrees_key} is in degrees, above 3.14 and below 180, got {degrees:.6g}.")
        return side / 2 / math.tan(math.radians(degrees) / 2)
    return None


def _whole(value: Any, what: str) -> int:
    found = number(value, what)
    if not 1 <= found <= 1e6:
        raise ValueError(f"{what} should be a number of pixels from 1 on, got {found:.6g}.")
    return int(found)


def _distortion(frame: Mapping[str, Any], meta: Mapping[str, Any], model: str, name: str) -> list[float]:
    """k1, k2, k3, k4, p1, p2."""
    keys = (*RADIAL, *TANGENTIAL, "distortion_params")
    source = frame if any(key in frame for key in keys) else meta
    if "distortion_params" in source:
        params = table([source["distortion_params"]], (1,), 6, f"{name}: distortion_params (k1, k2, k3, k4, p1, p2)")[0]
    else:
        params = [number(source.get(key, 0.0), f"{name}: {key}") for key in (*RADIAL, *TANGENTIAL)]
    if max(abs(value) for value in params) > 1e6:
        raise ValueError(f"{name}: its distortion is {shown(params)}: no lens bends light like that.")
    if model == FISHEYE:
        return params if any(params[:4]) else [NEARLY_EQUIDISTANT, *params[1:]]
    if params[3]:
        raise ValueError(
            f"{name}: k4 is {params[3]:.6g}, but pictures of {model} are undistorted by k1, k2, k3, p1 and p2 alone. "
            "Undistort the photographs (`colmap image_undistorter`), or calibrate without k4."
        )
    return params
