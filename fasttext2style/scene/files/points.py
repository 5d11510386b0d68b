"""Point clouds in .ply files, as COLMAP, Open3D, MeshLab, Metashape, Polycam and Gaussian trainers write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from fasttext2style.scene.files.ply import columns_of, read_vertices
from fasttext2style.scene.gaussians import SH_C0

COLORS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
"""Names of colours, under which other programs write them."""
SPHERICAL_HARMONICS = ("f_dc_0", "f_dc_1", "f_dc_2")


def read_points(path: Path | str) -> tuple[Float32[torch.Tensor, "points 3"], UInt8[torch.Tensor, "points 3"] | None]:
    """Positions, and colours from 0 to 255 (None if there are none), of the point cloud in a .ply file, on the CPU.

    It may be empty. Faces and other properties are ignored. Positions may be NaN or infinite. Colours are whole numbers
    of 8 or 16 bits, fractions of 1 or of 255, or a Gaussian's.

    Raises:
        ValueError: no .ply file, no positions in it, or cut short.
    """
    path = Path(path)
    vertices = read_vertices(path)
    names = vertices.dtype.names or ()
    missing = [name for name in ("x", "y", "z") if name not in names]
    if missing:
        raise ValueError(f"{path} is no point cloud: it lacks {', '.join(missing)}; it has {', '.join(names)}")
    return columns_of(vertices, ("x", "y", "z")), _colors(vertices)


def _colors(vertices: np.ndarray) -> UInt8[torch.Tensor, "points 3"] | None:
    names: dict[str, str] = {name.lower(): name for name in reversed(vertices.dtype.names or ())}
    if set(SPHERICAL_HARMONICS) <= names.keys():
        colors = 255 * (0.5 + SH_C0 * columns_of(vertices, SPHERICAL_HARMONICS))
        return colors.nan_to_num().clamp(0, 255).round().to(torch.uint8)
    found = next((colors for colors in COLORS if set(colors) <= names.keys()), None)
    if found is None:
        return None
    given: list[str] = [names[color] for color in found]
    colors = columns_of(vertices, given).nan_to_num()
    largest = float(colors.max()) if len(colors) else 0.0
    # Ascii vertices come as doubles, whatever their header says: there only a fraction tells.
    are_floats = all(np.asarray(vertices[name]).dtype == np.float32 for name in given)
    if largest > 255:
        colors = colors / 257
    elif largest <= 1 and (are_floats or bool((colors != colors.round()).any())):
        colors = colors * 255
    return colors.clamp(0, 255).round().to(torch.uint8)
