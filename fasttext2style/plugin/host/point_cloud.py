"""A capture's point cloud, read without open3d."""

from __future__ import annotations

from copy import copy
from pathlib import Path

import torch
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import Nerfstudio
from torch import Tensor

from fasttext2style.scene.files.ply import read_points
from fasttext2style.terminal.console import warn


def without_open3d(config: DataParserConfig) -> DataParserConfig:
    """The same settings for a data parser that reads the point cloud itself; those of other formats as they are.

    `config` is not changed, so that a config.yml goes on naming nerfstudio's own class.
    """
    if config._target is not Nerfstudio:
        return config
    config = copy(config)
    config._target = SceneDataParser
    return config


class SceneDataParser(Nerfstudio):
    """nerfstudio's data parser, but for the point cloud.

    nerfstudio reads it by open3d, whose wheel loads libusb, libGL and X11: machines without a screen have none of them.
    """

    def _load_3D_points(
        self, ply_file_path: Path, transform_matrix: Tensor, scale_factor: float
    ) -> dict[str, Tensor] | None:
        """Points and colours in the coordinates of the cameras, under nerfstudio's names; None if there are no points.

        Args:
            transform_matrix: [3, 4], from the file's coordinates.
            scale_factor: applied after it.

        Raises:
            ValueError: no such file, or no point cloud in it.
        """
        if not ply_file_path.is_file():
            raise ValueError(
                f"The point cloud {ply_file_path} is missing, but transforms.json names it (ply_file_path). Restore "
                "it, or take ply_file_path out of transforms.json: the reconstruction then begins with random points."
            )
        points, colors = read_points(ply_file_path)
        if len(points) == 0:
            warn(f"{ply_file_path} holds no points: the reconstruction begins with random ones.")
            return None
        points = points @ transform_matrix[:, :3].T + transform_matrix[:, 3]
        # Without colours nerfstudio's models expect an empty table.
        return {
            "points3D_xyz": points * scale_factor,
            "points3D_rgb": torch.zeros(0, 3, dtype=torch.uint8) if colors is None else colors,
        }
