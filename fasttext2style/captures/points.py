"""What a reconstruction starts from: the capture's point cloud, or points drawn where its cameras look."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from fasttext2style.scene.cameras import Cameras, looked_at
from fasttext2style.scene.files.points import read_points

FEWEST = 32
"""Points below which a cloud says nothing about a scene."""
WITHOUT_POINTS = (
    "The reconstruction starts from random points, and will be worse: points of COLMAP would help (`ns-process-data`)."
)
DRAWN = 40_000
"""Points that are drawn where there are none."""
ASKED = 200
"""Views of which one has to see a point."""
REACH = 1.5
"""Half the side of the cube that they fill, in distances of the farthest camera from its middle."""


class Cloud(NamedTuple):
    """What a reconstruction can start from."""

    points: Float32[Tensor, "points 3"]
    colors: UInt8[Tensor, "points 3"] | None
    note: str = ""
    """What the reader should know about it."""

    @property
    def is_enough(self) -> bool:
        return len(self.points) >= FEWEST


def read_cloud(path: Path) -> Cloud:
    """Points and colours of the file that a capture names, without those that lie nowhere.

    Raises:
        ValueError: no such file, or no point cloud in it.
    """
    if not path.is_file():
        raise ValueError(
            f"The point cloud {path} is missing, but transforms.json names it (ply_file_path). Restore it, or take "
            "ply_file_path out of transforms.json: the reconstruction then begins with random points."
        )
    try:
        points, colors = read_points(path)
    except ValueError as error:
        raise ValueError(
            f"{str(error).rstrip('.')}. transforms.json names it as its point cloud (ply_file_path): save that as a "
            ".ply, or take ply_file_path out (the reconstruction then begins with random points)."
        ) from error
    # Places of which float32 can no longer tell distances are as good as none.
    valid = (points.abs() < 1e15).all(dim=1)
    left_out = int((~valid).sum())
    note = f"{left_out:,} of the {len(valid):,} points of {path} have NaN or infinite positions: they are left out. "
    note = note if left_out else ""
    cloud = Cloud(points[valid], None if colors is None else colors[valid], note.strip())
    if cloud.is_enough:
        return cloud
    return cloud._replace(note=f"{note}The point cloud {path} holds {len(cloud.points)} points. {WITHOUT_POINTS}")


def drawn_points(
    cameras: Cameras, generator: torch.Generator
) -> tuple[Float32[Tensor, "points 3"], UInt8[Tensor, "points 3"]]:
    """Random points with random colours in a cube around what the cameras look at, wherever and however large that is;
    those that some view sees.

    Cameras that all look outwards, or the same way, look at no place: the cube is around the cameras themselves then.
    """
    middle, mean = looked_at(cameras), cameras.centers.mean(dim=0)
    spread = (cameras.centers - mean).norm(dim=1).max()
    ahead = ((middle - cameras.centers) * cameras.directions).sum(dim=1)
    reach = (cameras.centers - middle).norm(dim=1).max()
    if bool((ahead <= 0).any()) or not bool(reach < 20 * spread):
        middle, reach = mean, 3 * spread
    side = 2 * REACH * reach.clamp_min(1e-3)
    points = middle + side * (torch.rand(DRAWN, 3, generator=generator) - 0.5)
    seen = points[cameras.evenly(ASKED).see(points)]
    points = seen if len(seen) >= FEWEST else points
    return points, (256 * torch.rand(len(points), 3, generator=generator)).to(torch.uint8)
