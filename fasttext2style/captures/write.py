"""Writes a capture in nerfstudio's format: a scene's renders as photographs, their cameras, and some of its points."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.scene.rasterize import render

POINTS = 6000


@torch.no_grad()
def write_capture(folder: Path | str, gaussians: Gaussians, splits: Mapping[str, Cameras]) -> list[str]:
    """Write images, transforms.json and a coloured point cloud; returns the images' names below the folder.

    transforms.json comes last, so that a folder with it is whole.

    Args:
        gaussians: what the photographs show.
        splits: "train" and "test" views, of one camera; held-out views are the test views.

    Raises:
        OSError: something cannot be written.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cameras = Cameras.concatenated(list(splits.values()))
    names = [f"images/{split}_{view:03d}.png" for split, part in splits.items() for view in range(len(part))]
    for view, name in enumerate(names):
        image, _, _ = render(gaussians, cameras[view])
        write_picture(folder / name, image[0])
    K = cameras.Ks[0]
    poses = torch.nn.functional.pad(cameras.to_opengl(), (0, 0, 0, 1))
    poses[:, 3, 3] = 1.0
    transforms = {
        "camera_model": "OPENCV",
        **{"w": cameras.width, "h": cameras.height},
        **{"fl_x": K[0, 0].item(), "fl_y": K[1, 1].item(), "cx": K[0, 2].item(), "cy": K[1, 2].item()},
        "frames": [{"file_path": n, "transform_matrix": pose.tolist()} for n, pose in zip(names, poses)],
        "train_filenames": [name for name in names if "train" in name],
        "val_filenames": [name for name in names if "test" in name],
        "test_filenames": [name for name in names if "test" in name],
        "ply_file_path": "sparse_pc.ply",
    }
    _write_points(folder / "sparse_pc.ply", gaussians)
    with atomic_write(folder / "transforms.json") as stream:
        stream.write(json.dumps(transforms, indent=1).encode())
    return names


def write_picture(path: Path, image: Tensor) -> None:
    """A PNG of [height, width] or [height, width, 3] in [0, 1], whole or not at all."""
    with atomic_write(path) as stream:
        Image.fromarray((image.clamp(0, 1) * 255).round().byte().cpu().numpy()).save(stream, format="PNG")


def _write_points(path: Path, gaussians: Gaussians) -> None:
    """A point cloud as structure from motion leaves it: few, inexact points with colours."""
    generator = torch.Generator().manual_seed(0)
    chosen = gaussians.subset(torch.randperm(len(gaussians), generator=generator)[:POINTS])
    points = chosen.means + 0.005 * torch.randn(chosen.means.shape, generator=generator)
    rows = np.empty(
        len(chosen), dtype=[(axis, "<f4") for axis in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")]
    )
    for axis, name in enumerate("xyz"):
        rows[name] = points[:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        rows[name] = ((0.5 + SH_C0 * chosen.sh_dc[:, channel]).clamp(0, 1) * 255).byte()
    kinds = ["float"] * 3 + ["uchar"] * 3
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property {kind} {name}" for kind, name in zip(kinds, rows.dtype.names or ())] + ["end_header", ""]
    with atomic_write(path) as stream:
        stream.write("\n".join(header).encode() + rows.tobytes())
