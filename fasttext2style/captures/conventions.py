"""Whether the poses of a capture are what nerfstudio takes them for, asked of its point cloud.

Each point of structure from motion was seen by at least two photographs. Where hardly any lies before a camera, and
nearly all would if the poses were read in another of the usual ways, they are written in that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

POINTS, VIEWS = 1000, 100
"""So many are looked at."""
FEW, NEARLY_ALL, MANY_MORE = 0.6, 0.8, 0.35
"""Shares of the points. Measured: of the captures bear and dinosaur, as they are, 1.00, and .05 to .58 if their poses
are written in one of the other ways; of a half circle .89; of points of a whole scene seen from the front .78."""

OTHERS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "OpenCV's and COLMAP's axes, y down and z forward": (
        lambda poses: poses @ np.diag([1.0, -1.0, -1.0, 1.0]),
        "change the signs of the second and third column of each transform_matrix",
    ),
    "world to camera": (lambda poses: np.linalg.inv(poses), "write the inverse of each transform_matrix"),
    "world to camera with OpenCV's and COLMAP's axes": (
        lambda poses: np.linalg.inv(np.diag([1.0, -1.0, -1.0, 1.0]) @ poses),
        "write the inverse of each transform_matrix, and change the signs of its second and third column",
    ),
}
"""Other ways in which poses are written -> what makes ours of them, and the same in words."""


def check_poses_see(points: np.ndarray, meta: Mapping[str, Any], cloud: Path) -> None:
    """Raises ValueError for poses of another convention.

    Args:
        points: [points, 3] in the coordinates of the poses.
        meta: of a plain capture.
        cloud: the file of the points, for the message.
    """
    if meta["camera_model"] == "OPENCV_FISHEYE":
        return  # sees more than a pinhole of its focal length
    frames = meta["frames"][:: 1 + len(meta["frames"]) // VIEWS]
    some = points[:: 1 + len(points) // POINTS].astype(np.float64)
    poses = np.array([frame["transform_matrix"] for frame in frames])
    now = share_seen(some, poses, frames)
    if now >= FEW:
        return
    shares = {way: share_seen(some, change(poses), frames) for way, (change, _) in OTHERS.items()}
    way = max(shares, key=lambda name: shares[name])
    if shares[way] < max(NEARLY_ALL, now + MANY_MORE):
        return
    raise ValueError(
        f"The cameras of the capture do not look at its points, {cloud}: {now:.0%} of them lie before one, and "
        f"{shares[way]:.0%} would if the poses were {way}. In transforms.json they should be camera to world with x "
        f"right, y up and z backwards: {OTHERS[way][1]}."
    )


def share_seen(points: np.ndarray, poses: np.ndarray, frames: list[dict[str, Any]]) -> float:
    """Of the points [points, 3], those inside the picture of some camera to world [views, 4, 4]."""
    seen = np.zeros(len(points), dtype=bool)
    for pose, frame in zip(poses, frames):
        there = (points - pose[:3, 3]) @ pose[:3, :3]
        depth = -there[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            x = frame["cx"] + frame["fl_x"] * there[:, 0] / depth
            y = frame["cy"] - frame["fl_y"] * there[:, 1] / depth
        seen |= (depth > 0) & (x >= 0) & (x <= frame["w"]) & (y >= 0) & (y <= frame["h"])
    return float(seen.mean())
