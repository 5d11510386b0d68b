"""Scenes of a run as other libraries read them from disk: plyfile, torch, numpy; none of our own readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from plyfile import PlyData

from fasttext2style.scene.gaussians import SPLATFACTO_NAMES

COLUMNS = {
    "means": ["x", "y", "z"],
    "scales": ["scale_0", "scale_1", "scale_2"],
    "quats": ["rot_0", "rot_1", "rot_2", "rot_3"],
    "features_dc": ["f_dc_0", "f_dc_1", "f_dc_2"],
    "opacities": ["opacity"],
}


def of_ply(path: Path) -> dict[str, np.ndarray]:
    """splatfacto's name -> [gaussians, numbers] of a 3DGS .ply."""
    vertices = PlyData.read(path)["vertex"]
    columns = {name: np.stack([vertices[part] for part in parts], axis=1) for name, parts in COLUMNS.items()}
    rest = len([name for name in vertices.data.dtype.names if name.startswith("f_rest_")])
    # Stored colour by colour: all of red, then green, then blue.
    stored = np.stack([vertices[f"f_rest_{number}"] for number in range(rest)], axis=1)
    return columns | {"features_rest": stored.reshape(len(stored), 3, -1).transpose(0, 2, 1).reshape(len(stored), -1)}


def of_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The same of a checkpoint, and its selection."""
    entries = torch.load(path, map_location="cpu", weights_only=True)["pipeline"]
    columns = {name: entries[f"_model.gauss_params.{name}"].flatten(1).numpy() for name in SPLATFACTO_NAMES}
    return columns, entries["_model.selection"].numpy()


def of_run(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """styled.ply and the checkpoint of a finished run, by name."""
    (checkpoint,) = (folder / "nerfstudio_models").iterdir()
    return {"styled.ply": of_ply(folder / "results" / "styled.ply"), "checkpoint": of_checkpoint(checkpoint)[0]}


def differing_rows(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> np.ndarray:
    """Numbers of the Gaussians that differ by any bit."""
    different = [
        np.ascontiguousarray(ours[name]).view(np.uint32) != np.ascontiguousarray(theirs[name]).view(np.uint32)
        for name in SPLATFACTO_NAMES
    ]
    return np.flatnonzero(np.concatenate(different, axis=1).any(axis=1))
