"""A capture before it is loaded: which photographs and cameras a run will train on, as nerfstudio's parser says."""

from __future__ import annotations

import sys
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from torch import Tensor

from fasttext2style.captures.checks import check_capture, names_points
from fasttext2style.plugin.host.chatter import host_is_quiet
from fasttext2style.plugin.host.datamanager import SceneDatamanagerConfig, masks_of, to_scene_cameras
from fasttext2style.plugin.host.point_cloud import without_open3d


@dataclass(frozen=True)
class Capture:
    """The training views of a capture. Sizes are those before undistortion, which may take a few pixels away."""

    outputs: DataparserOutputs
    """What nerfstudio's parser says."""
    width: int
    height: int
    has_masks: bool
    """Of the object, or of what to train on."""
    has_points: bool | None
    """A point cloud to reconstruct from; None if nobody looked for one."""

    @property
    def photographs(self) -> list[Path]:
        return self.outputs.image_filenames

    def sees(self, points: Float[Tensor, "points 3"]) -> Bool[Tensor, " points"]:
        """Which points lie inside the picture of some view."""
        cameras = to_scene_cameras(self.outputs.cameras)
        local = torch.einsum("vij,pj->vpi", cameras.viewmats[:, :3, :3], points) + cameras.viewmats[:, None, :3, 3]
        pixels = torch.einsum("vij,vpj->vpi", cameras.Ks, local)
        pixels, depths = pixels[..., :2] / pixels[..., 2:].clamp_min(1e-6), local[..., 2]
        size = pixels.new_tensor([cameras.width, cameras.height])
        return ((depths > 0) & ((pixels >= 0) & (pixels <= size)).all(dim=-1)).any(dim=0)


def read_capture(config: SceneDatamanagerConfig, device: str, reconstructs: bool) -> Capture:
    """Check a capture whole (see `check_capture`), and parse it as the run will.

    Raises:
        ValueError: what is wrong with it, or with its masks of the object.
    """
    data = Path(config.data) if config.data is not None else Path(config.dataparser.data)
    is_ours = isinstance(config.dataparser, NerfstudioDataParserConfig)
    if is_ours:
        check_capture(data)
    if is_ours and reconstructs and _would_ask(data):
        raise ValueError(
            f"{data} has COLMAP's points, but its transforms.json names no ply_file_path (an old ns-process-data made "
            "it). nerfstudio can add it, and asks first: run this once in a terminal."
        )
    points_named = is_ours and reconstructs and names_points(data)
    train, held_out = _parsed(config, data, "train", points_named), _parsed(config, data, "val")
    for name, outputs in (("training", train), ("evaluation", held_out)):
        if not outputs.image_filenames:
            raise ValueError(
                f"Of the photographs of {data} none is left for {name}. Add `nerfstudio-data --eval-mode all` at the "
                "end of the command: then all are taken for both."
            )
    if config.object_masks is not None:
        masks_of(config.object_masks, train.image_filenames)
    cameras = train.cameras
    width, height = int(cameras.width.max()), int(cameras.height.max())
    limit = config.longest_side(device)
    scale = min(1.0, limit / max(width, height)) if limit else 1.0
    has_masks = config.object_masks is not None or train.mask_filenames is not None
    has_points = "points3D_xyz" in train.metadata if is_ours and reconstructs else None
    return Capture(train, round(width * scale), round(height * scale), has_masks, has_points)


def _parsed(config: SceneDatamanagerConfig, data: Path, split: str, points: bool = False) -> DataparserOutputs:
    parser = without_open3d(copy(config.dataparser))
    parser.data = data
    if isinstance(parser, NerfstudioDataParserConfig):
        parser.load_3D_points = points
    try:
        with host_is_quiet():
            return parser.setup().get_dataparser_outputs(split=split)
    except (ValueError, OSError):
        raise
    except Exception as error:  # parsers assert, index and look up keys of what other programs wrote
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"nerfstudio's parser cannot read the capture {data} ({reason}).") from error


def _would_ask(data: Path) -> bool:
    folder = data.parent if data.suffix == ".json" else data
    points = folder / "colmap" / "sparse" / "0"
    return points.exists() and not names_points(data) and not sys.stdin.isatty()
