"""nerfstudio's data parser for captures as people have them, without open3d."""

from __future__ import annotations

import json
import math
from copy import copy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig, DataparserOutputs
from nerfstudio.data.dataparsers.nerfstudio_dataparser import Nerfstudio, NerfstudioDataParserConfig
from torch import Tensor

from fasttext2style.captures.cameras import stand_at_one_place
from fasttext2style.captures.conventions import check_poses_see
from fasttext2style.captures.plain import PlainCapture, places, plain_capture
from fasttext2style.captures.points import WITHOUT_POINTS, Cloud, drawn_points, read_cloud
from fasttext2style.plugin.host.convert import to_scene_cameras
from fasttext2style.plugin.host.errors import host_in_words


def with_our_parser(config: DataParserConfig) -> DataParserConfig:
    """The same settings for our parser of nerfstudio's format; those of other formats as they are.

    `config` is not changed, so that a config.yml goes on naming nerfstudio's own class.
    """
    if config._target is not Nerfstudio:
        return config
    config = copy(config)
    config._target = SceneDataParser
    return config


def check_settings(config: Any) -> None:
    """Raises ValueError for settings of any data parser with which it would make no capture, or one without size."""
    for name in ("scale_factor", "scene_scale"):
        value = getattr(config, name, 1.0)
        if not 0 < value < math.inf:
            raise ValueError(f"--{name.replace('_', '-')} is a finite number above 0, got {value}.")
    points = getattr(config, "ply_path", None)
    if points is not None and not points.is_file():
        raise ValueError(f"--ply-path {points} does not exist; expected a .ply of points, or leave it out.")
    mode = getattr(config, "eval_mode", "")
    if mode == "interval" and config.eval_interval < 2:
        raise ValueError(
            f"--eval-interval is 2 or more (8 holds out every eighth photograph), got {config.eval_interval}; "
            "--eval-mode all trains on all."
        )
    if mode == "fraction" and not 0 < config.train_split_fraction <= 1:
        raise ValueError(
            "--train-split-fraction is above 0 and up to 1 (0.9 holds out every tenth photograph), got "
            f"{config.train_split_fraction}."
        )


class SceneDataParser(Nerfstudio):
    """nerfstudio's data parser, which is given captures in their plain form (see `captures.plain`).

    It also never is without held-out views, nor, where it loads points, without points; and it reads these itself:
    nerfstudio does by open3d, whose wheel loads libusb, libGL and X11, and machines without a screen have none of them.
    """

    config: NerfstudioDataParserConfig
    capture: PlainCapture | None = None

    def __init__(self, config: NerfstudioDataParserConfig) -> None:
        super().__init__(config)
        self.notes: list[str] = []
        """What the reader should know although the work goes on."""

    def _generate_dataparser_outputs(self, split: str = "train") -> DataparserOutputs:
        self._check_names()
        outputs = self._parsed(split)
        if not outputs.image_filenames and split != "train":
            outputs = self._parsed("train")
            self.notes.append(
                f"The capture {self.config.data} has no photograph to hold out (every tenth is, by default): the "
                "training views are taken for pictures and numbers, so these say how well it learnt, not how well it "
                "sees what is new."
            )
        if split == "train" and self.config.load_3D_points:
            self._add_points(outputs)
        if not bool(outputs.cameras.camera_to_worlds.isfinite().all()):
            raise ValueError(
                f"The cameras of {self.config.data} cannot be oriented as asked (--orientation-method "
                f"{self.config.orientation_method}): their directions cancel out. Add `nerfstudio-data "
                "--orientation-method none` at the end of the command."
            )
        return outputs

    def read(self) -> PlainCapture:
        """The capture, whose headers are read once.

        Raises:
            ValueError: what is wrong with it.
        """
        if self.capture is None:
            self.capture = plain_capture(self.config.data, self.config.downscale_factor)
            self.notes += self.capture.notes
        return self.capture

    def _parsed(self, split: str) -> DataparserOutputs:
        given, meta = self.config, self.read().meta
        # Already those of images_2 and so on, if these are to be taken.
        self.downscale_factor = 1
        with TemporaryDirectory() as folder:
            Path(folder, "transforms.json").write_text(json.dumps(meta), encoding="utf8")
            scalable = given.auto_scale_poses and not stand_at_one_place(places(meta))
            points = given.load_3D_points and split == "train"
            self.config = replace(given, data=Path(folder), auto_scale_poses=scalable, load_3D_points=points)
            try:
                return super()._generate_dataparser_outputs(split)
            finally:
                self.config = given

    def _check_names(self) -> None:
        names = [path.name for path in self.read().photographs]
        nameless = [name for name in names if "train" not in name and "eval" not in name]
        if self.config.eval_mode == "filename" and nameless:
            raise ValueError(
                f"--eval-mode filename wants train or eval in the name of each photograph, and {len(nameless)} of "
                f"{len(names)} have neither, first {nameless[0]}: rename them, or take another --eval-mode."
            )

    def _load_3D_points(
        self, ply_file_path: Path, transform_matrix: Tensor, scale_factor: float
    ) -> dict[str, Tensor] | None:
        """Points and colours in the coordinates of the cameras, under nerfstudio's names; None if there are too few.

        Args:
            transform_matrix: [3, 4], from the file's coordinates.
            scale_factor: applied after it.

        Raises:
            ValueError: no such file, no point cloud in it, or the cameras do not look at it.
        """
        cloud = read_cloud(ply_file_path)
        self.notes += filter(None, [cloud.note])
        if cloud.is_enough:
            check_poses_see(cloud.points.numpy(), self.read().meta, ply_file_path)
        return _under_its_names(cloud, transform_matrix, scale_factor) if cloud.is_enough else None

    def _add_points(self, outputs: DataparserOutputs) -> None:
        """Points of COLMAP that old captures have beside their transforms.json; where there are none, drawn ones."""
        named = "ply_file_path" in self.read().meta
        colmap = self.config.data / "colmap" / "sparse" / "0" / "points3D.bin"
        if not named and colmap.is_file():
            from nerfstudio.data.utils.colmap_parsing_utils import read_points3D_binary

            hint = "Copy it again, or take it away: the reconstruction then begins with random points."
            with host_in_words(f"The points of COLMAP, {colmap}, cannot be read", hint):
                found = list(read_points3D_binary(colmap).values())
            points, colors = (np.array([getattr(point, name) for point in found]) for name in ("xyz", "rgb"))
            cloud = Cloud(torch.from_numpy(points).float(), torch.from_numpy(colors).to(torch.uint8))
            if cloud.is_enough:
                outputs.metadata |= _under_its_names(cloud, outputs.dataparser_transform, outputs.dataparser_scale)
        if "points3D_xyz" not in outputs.metadata:
            if not named:
                self.notes.append(f"The capture {self.config.data} has no point cloud. {WITHOUT_POINTS}")
            points, colors = drawn_points(to_scene_cameras(outputs.cameras), torch.Generator().manual_seed(0))
            outputs.metadata |= {"points3D_xyz": points, "points3D_rgb": colors, "points3D_drawn": True}


def _under_its_names(cloud: Cloud, matrix: Tensor, scale: float) -> dict[str, Tensor]:
    return {
        "points3D_xyz": (cloud.points @ matrix[:, :3].T + matrix[:, 3]) * scale,
        # Without colours nerfstudio's models expect an empty table.
        "points3D_rgb": torch.zeros(0, 3, dtype=torch.uint8) if cloud.colors is None else cloud.colors,
    }
