"""Compressed .ply files, as PlayCanvas's SuperSplat and splat-transform write them: 16 bytes a Gaussian, and SH in 45.

Element `chunk` holds the bounds of each 256 Gaussians (places, log scales, in later files colours); `vertex` their
places and log scales within them in 11, 10 and 11 bits, colours and opacities in 8, rotations as the three smaller
of w, x, y, z in 10 bits; `sh`, if there is one, a byte for each coefficient. Source: PlayCanvas's engine (MIT),
src/scene/gsplat/gsplat-compressed-data.js.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import Float32, UInt32

from fasttext2style.scene.files.ply_header import FORMATS, Element, element_dtype
from fasttext2style.scene.files.values import OPAQUE, quats_of_smallest_three
from fasttext2style.scene.gaussians import SH_C0, SH_DEGREES, Gaussians
from fasttext2style.trust.sizes import bytes_left

CHUNK = 256
"""Gaussians that share their bounds."""
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
BOUNDS = tuple(f"{end}_{axis}" for end in ("min", "max") for axis in ("x", "y", "z"))
SCALE_BOUNDS = tuple(f"{end}_scale_{axis}" for end in ("min", "max") for axis in ("x", "y", "z"))
COLOR_BOUNDS = tuple(f"{end}_{channel}" for end in ("min", "max") for channel in ("r", "g", "b"))
LARGEST_SH = 4.0
"""Coefficients lie within plus and minus this."""
INSTEAD = "save it uncompressed (in SuperSplat: export as PLY) first"


def is_packed(elements: Sequence[Element]) -> bool:
    """Whether a .ply with these elements is a compressed one."""
    return any(name.startswith("packed_") for element in elements for name in element.names)


def read_packed(stream: IO[bytes], encoding: str, elements: Sequence[Element], path: Path) -> Gaussians:
    """The scene in a compressed .ply, from the first byte after its header; it may have NaN.

    Raises:
        ValueError: elements or properties that this kind has not, no Gaussians, or cut short.
    """
    by_name = {element.name: element for element in elements}
    vertex, chunk, sh = by_name.get("vertex"), by_name.get("chunk"), by_name.get("sh")
    wanted = ({"vertex", "chunk"}, {"vertex", "chunk", "sh"})
    if encoding == "ascii" or vertex is None or chunk is None or set(by_name) not in wanted:
        got = f"{encoding}, {', '.join(by_name)}"
        raise ValueError(f"{path} is a compressed .ply of a kind that is not read ({got}): {INSTEAD}")
    missing = [name for name in (*BOUNDS, *SCALE_BOUNDS) if name not in chunk.names]
    missing += [name for name in PACKED if name not in vertex.names]
    if missing:
        raise ValueError(f"{path} is a compressed .ply that lacks {', '.join(missing)}: {INSTEAD}")
    if vertex.count == 0:
        raise ValueError(f"{path} holds no Gaussians (element vertex 0); was everything pruned or cropped away?")
    if chunk.count != -(-vertex.count // CHUNK) or (sh is not None and sh.count != vertex.count):
        counts = ", ".join(f"{element.name} {element.count:,}" for element in elements)
        raise ValueError(f"{path} is damaged: a chunk holds {CHUNK} Gaussians, but it says {counts}")
    dtypes = {element.name: element_dtype(element, FORMATS[encoding], path) for element in elements}
    expected, there = sum(dtypes[name].itemsize * by_name[name].count for name in dtypes), bytes_left(stream)
    if expected > there:
        raise ValueError(
            f"{path} is cut short: its elements take {expected:,} bytes, got {there:,}; copy or export it again"
        )
    tables = {
        name: np.frombuffer(stream.read(dtype.itemsize * by_name[name].count), dtype=dtype)
        for name, dtype in dtypes.items()
    }
    if any(tables["vertex"].dtype[name].kind != "u" or tables["vertex"].dtype[name].itemsize != 4 for name in PACKED):
        raise ValueError(f"{path} is a compressed .ply whose packed numbers are not of 32 bits: {INSTEAD}")
    position, rotation, scale, color = (tables["vertex"][name].astype(np.uint32) for name in PACKED)
    bounds = np.arange(vertex.count) // CHUNK
    colors = _bytes_of(color)
    sh_dc = colors[:, :3]
    if set(COLOR_BOUNDS) <= set(chunk.names):
        sh_dc = _between(tables["chunk"], COLOR_BOUNDS, bounds, sh_dc)
    with np.errstate(divide="ignore"):
        logits = np.log(colors[:, 3]) - np.log1p(-colors[:, 3])
    return Gaussians(
        means=torch.from_numpy(_between(tables["chunk"], BOUNDS, bounds, _thirds(position))),
        quats=torch.from_numpy(_quats(rotation)),
        log_scales=torch.from_numpy(_between(tables["chunk"], SCALE_BOUNDS, bounds, _thirds(scale))),
        logit_opacities=torch.from_numpy(np.clip(logits, -OPAQUE, OPAQUE)),
        sh_dc=torch.from_numpy((sh_dc - np.float32(0.5)) / np.float32(SH_C0)),
        sh_rest=_sh_rest(tables.get("sh"), vertex.count, path),
    )


def _thirds(packed: UInt32[np.ndarray, " gaussians"]) -> Float32[np.ndarray, "gaussians 3"]:
    """11, 10 and 11 bits as shares of their largest value."""
    parts = ((packed >> 21) & 2047, (packed >> 11) & 1023, packed & 2047)
    return np.stack([part.astype(np.float32) / most for part, most in zip(parts, (2047, 1023, 2047))], axis=1)


def _bytes_of(packed: UInt32[np.ndarray, " gaussians"]) -> Float32[np.ndarray, "gaussians 4"]:
    return np.stack([((packed >> shift) & 255).astype(np.float32) / 255 for shift in (24, 16, 8, 0)], axis=1)


def _between(
    chunks: np.ndarray, names: Sequence[str], rows: np.ndarray, shares: Float32[np.ndarray, "gaussians 3"]
) -> Float32[np.ndarray, "gaussians 3"]:
    low, high = (
        np.stack([chunks[name].astype(np.float32) for name in part], axis=1)[rows] for part in (names[:3], names[3:])
    )
    with np.errstate(invalid="ignore", over="ignore"):
        return low * (1 - shares) + high * shares


def _quats(packed: UInt32[np.ndarray, " gaussians"]) -> Float32[np.ndarray, "gaussians 4"]:
    """Which of w, x, y, z is largest (2 bits), then the others, 10 bits each from -sqrt(1/2) to sqrt(1/2)."""
    others = np.stack([(packed >> shift) & 1023 for shift in (20, 10, 0)], axis=1).astype(np.float32)
    return quats_of_smallest_three((others / 1023 - 0.5) * math.sqrt(2), packed >> 30)


def _sh_rest(table: np.ndarray | None, count: int, path: Path) -> torch.Tensor:
    """[gaussians, coefficients, 3]; 0 and 255 are the ends, what lies between is in the middle of its step."""
    names = () if table is None else table.dtype.names or ()
    wanted = [f"f_rest_{number}" for number in range(len(names))]
    if set(names) != set(wanted) or len(names) % 3 or len(names) // 3 not in SH_DEGREES:
        raise ValueError(f"{path} should have 0, 9, 24 or 45 properties f_rest_0 ... in its element sh, got {names}")
    if table is None:
        return torch.zeros(count, 0, 3)
    if any(table.dtype[name] != np.uint8 for name in names):
        raise ValueError(f"{path} is a compressed .ply whose spherical harmonics are not bytes: {INSTEAD}")
    stored = np.stack([table[name] for name in wanted], axis=1).astype(np.float32)
    shares = np.where(stored == 0, 0, np.where(stored == 255, 1, (stored + np.float32(0.5)) / 256))
    values = (shares.astype(np.float32) - np.float32(0.5)) * np.float32(2 * LARGEST_SH)
    return torch.from_numpy(values).reshape(count, 3, len(names) // 3).transpose(1, 2).contiguous()
