"""Compact files that viewers in a browser read: .spz and .splat. Coordinates stay those of the scene, as in .ply.

Both round: about a tenth (.spz) and an eighth (.splat, without view dependence) of a .ply's size, and no way back to
the same bits. Keep a .ply or the run to go on editing.
"""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8, UInt32

from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.scene.gaussians import SH_C0, Gaussians

SPZ_MAGIC = 0x5053474E
"""NGSP in bytes: Niantic Gaussian splats."""
SPZ_MAX_FRACTIONAL_BITS = 20
"""A millionth of a unit: finer than floats are at a distance of 8."""
SPZ_COLOR_SCALE = 0.15
"""sh_dc is stored as 0.5 + 0.15 sh_dc: colours a little outside of [0, 1] survive."""
SPZ_SH_STEPS = {1: 8, 2: 16, 3: 16}
"""SH degree -> step between its values, in 256ths of [-1, 1]: 5 bits and 4 bits, as Niantic's own writer has them."""

SPLAT_ROW = np.dtype([("place", "<f4", 3), ("size", "<f4", 3), ("color", "u1", 4), ("quat", "u1", 4)])
"""A Gaussian in a .splat."""


def write_spz(path: Path | str, gaussians: Gaussians) -> None:
    """Write Niantic's .spz, version 3 (github.com/nianticlabs/spz, MIT): 20 bytes and the SH of each Gaussian, gzipped.

    Places are fixed point numbers of 24 bits, as fine as the farthest Gaussian allows (the header says how fine).
    Sizes are rounded to 3 percent between e^-10 and e^5.9, SH beyond the constant are cut off at -1 and 1.

    Raises:
        ValueError: there are no Gaussians to write, or NaN or infinite values.
    """
    gaussians = _writable(path, gaussians)
    means = gaussians.means.numpy()
    bits = _fractional_bits(float(np.abs(means).max()))
    header = (SPZ_MAGIC, 3, len(gaussians), gaussians.sh_degree, bits, 0, 0)
    fixed = np.round(means.astype(np.float64) * (1 << bits)).astype("<i4")
    with atomic_write(path) as stream, gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0) as out:
        out.write(struct.pack("<IIIBBBB", *header))
        out.write(np.ascontiguousarray(fixed[..., None].view(np.uint8)[..., :3]).tobytes())
        out.write(_byte(gaussians.opacities.numpy() * 255).tobytes())
        out.write(_byte((0.5 + SPZ_COLOR_SCALE * gaussians.sh_dc.numpy()) * 255).tobytes())
        out.write(_byte((gaussians.log_scales.numpy() + 10) * 16).tobytes())
        out.write(_smallest_three(gaussians.quats.numpy()).astype("<u4").tobytes())
        out.write(_spz_sh(gaussians.sh_rest.numpy()).tobytes())


def write_splat(path: Path | str, gaussians: Gaussians) -> None:
    """Write the .splat of antimatter15's viewer, which most others read too: 32 bytes per Gaussian, no header.

    Place and size as floats, colour and opacity as bytes, rotation as four bytes w, x, y, z around 128. The most
    visible ones (volume times opacity) come first, for viewers show files while they load. No view dependence.

    Raises:
        ValueError: there are no Gaussians to write, or NaN or infinite values.
    """
    gaussians = _writable(path, gaussians)
    visibility = gaussians.log_scales.sum(dim=1) + torch.nn.functional.logsigmoid(gaussians.logit_opacities)
    gaussians = gaussians.subset(visibility.argsort(descending=True, stable=True))
    rows = np.empty(len(gaussians), dtype=SPLAT_ROW)
    rows["place"], rows["size"] = gaussians.means.numpy(), gaussians.scales.numpy()
    rows["color"][:, :3] = _byte((0.5 + SH_C0 * gaussians.sh_dc.numpy()) * 255)
    rows["color"][:, 3] = _byte(gaussians.opacities.numpy() * 255)
    rows["quat"] = _byte(_unit(gaussians.quats.numpy()) * 128 + 128)
    with atomic_write(path) as stream:
        stream.write(rows.tobytes())


def _writable(path: Path | str, gaussians: Gaussians) -> Gaussians:
    if len(gaussians) == 0:
        raise ValueError(f"There are no Gaussians to write to {path}; is the selection empty?")
    invalid = gaussians.invalid_rows()
    if invalid:
        counts = ", ".join(f"{name}: {int(rows.sum()):,}" for name, rows in invalid.items())
        raise ValueError(f"{path} is not written: Gaussians have NaN or infinite values ({counts}). Export to .ply")
    return gaussians.detach().to("cpu")


def _fractional_bits(farthest: float) -> int:
    """As many as leave room for the farthest coordinate in 23 bits and a sign."""
    whole = max(0, math.floor(math.log2(max(farthest, 1e-9))) + 1)
    # One in reserve: rounding may carry.
    bits = min(SPZ_MAX_FRACTIONAL_BITS, 22 - whole)
    if bits < 1:
        raise ValueError(
            f".spz holds places up to 1,000,000 units from the origin, the farthest Gaussian is {farthest:.3g}"
        )
    return bits


def _smallest_three(quats: Float32[np.ndarray, "gaussians 4"]) -> UInt32[np.ndarray, " gaussians"]:
    """Rotations in 32 bits: which of x, y, z, w is largest (2 bits), then sign and 9 bits for each of the others.

    -q is the same rotation as q, so the largest is made positive and follows from the others, which are at most
    sqrt(1/2) and stored as parts of it.
    """
    xyzw = np.roll(_unit(quats), -1, axis=1)
    largest = np.abs(xyzw).argmax(axis=1)
    rows = np.arange(len(xyzw))
    xyzw = xyzw * np.where(xyzw[rows, largest] < 0, -1.0, 1.0)[:, None]
    others = xyzw[np.arange(4) != largest[:, None]].reshape(-1, 3)
    parts = np.minimum(np.abs(others) * math.sqrt(2) * 511 + 0.5, 511).astype(np.uint32)
    parts |= (others < 0).astype(np.uint32) << np.uint32(9)
    packed = largest.astype(np.uint32)
    for part in parts.T:
        packed = packed << np.uint32(10) | part
    return packed


def _spz_sh(sh_rest: Float32[np.ndarray, "gaussians rest 3"]) -> UInt8[np.ndarray, "gaussians rest 3"]:
    """128 + 128 x, rounded to the middle of its step (0 stays 0): fewer levels pack better."""
    steps = np.concatenate([np.full(2 * degree + 1, step) for degree, step in SPZ_SH_STEPS.items()])
    steps = steps[: sh_rest.shape[1], None]
    values = np.round(np.clip(sh_rest, -1, 1) * 128).astype(np.int64) + 128
    return np.clip((values + steps // 2) // steps * steps, 0, 255).astype(np.uint8)


def _unit(quats: Float32[np.ndarray, "gaussians 4"]) -> Float32[np.ndarray, "gaussians 4"]:
    return quats / np.maximum(np.linalg.norm(quats, axis=1, keepdims=True), np.float32(1e-12))


def _byte(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
