"""Reads .spz of versions 1 to 4, and .splat: what `compact.py` writes, and others do. Coordinates stay as they are.

Nothing is unpacked or allocated for more than the header promises, and nothing that the file is too small to hold.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from fasttext2style.scene.files.compact import SPLAT_ROW, SPZ_COLOR_SCALE, SPZ_MAGIC
from fasttext2style.scene.files.values import OPAQUE, THINNEST, quats_of_smallest_three
from fasttext2style.scene.gaussians import SH_C0, Gaussians
from fasttext2style.trust.sizes import check_is_file, most_unpacked

SPZ_HEADER = struct.Struct("<IIIBBBB")
STREAMS_HEADER = struct.Struct("<IIIBBBBI12x")
"""Of version 4: the last numbers say how many streams there are, and where the list of their sizes lies."""
STREAM = struct.Struct("<QQ")
"""Its bytes, packed and unpacked."""
WINDOW = 1 << 27
"""Bytes that unpacking may look back: Zstandard's own limit."""
SPZ_REST = {0: 0, 1: 3, 2: 8, 3: 15}
"""SH degree -> coefficients beyond the constant."""


def read_spz(path: Path | str) -> Gaussians:
    """The scene in Niantic's .spz, on the CPU; it may have NaN (version 1 holds half floats).

    Raises:
        ValueError: no .spz, of a later version, no Gaussians in it, damaged, cut short, or of version 4 (Zstandard)
            without the package that unpacks it.
    """
    path = Path(path)
    check_is_file(path)
    with open(path, "rb") as packed:
        start = packed.read(4)
    try:
        if start == struct.pack("<I", SPZ_MAGIC):
            return _of_streams(path)
        if start[:2] != b"\x1f\x8b":
            raise ValueError(f"{path} is not an .spz file: it starts with {start!r}, not with gzip's 1f 8b or NGSP")
        with gzip.open(path, "rb") as stream:
            return _of_gzip(stream, path)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is cut short or damaged ({error}); copy or export it again") from error


def read_splat(path: Path | str) -> Gaussians:
    """The scene in a .splat of antimatter15's viewer, on the CPU, without view dependence; it may have NaN.

    Raises:
        ValueError: empty, or not a whole number of Gaussians.
    """
    path = Path(path)
    size = path.stat().st_size
    if size == 0 or size % SPLAT_ROW.itemsize:
        raise ValueError(
            f"{path} is not a whole .splat file: {size:,} bytes, expected {SPLAT_ROW.itemsize} for each Gaussian; "
            "copy or export it again"
        )
    rows = np.fromfile(path, dtype=SPLAT_ROW)
    colors = rows["color"].astype(np.float32) / 255
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.maximum(np.log(rows["size"]), np.float32(THINNEST))
    return Gaussians(
        means=torch.from_numpy(rows["place"].copy()),
        quats=torch.from_numpy((rows["quat"].astype(np.float32) - 128) / 128),
        log_scales=torch.from_numpy(log_scales),
        logit_opacities=torch.from_numpy(_logits(colors[:, 3])),
        sh_dc=torch.from_numpy((colors[:, :3] - np.float32(0.5)) / np.float32(SH_C0)),
        sh_rest=torch.zeros(len(rows), 0, 3),
    )


def _of_gzip(stream: gzip.GzipFile, path: Path) -> Gaussians:
    head = stream.read(SPZ_HEADER.size)
    if len(head) < SPZ_HEADER.size:
        raise ValueError(f"{path} is cut short: it ends within its header; copy or export it again")
    magic, version, count, degree, bits, _, _ = SPZ_HEADER.unpack(head)
    widths = _widths(path, magic, version, count, degree, bits, (1, 2, 3))
    needed = count * sum(widths)
    content = stream.read(needed)
    if len(content) < needed:
        raise ValueError(f"{path} is cut short: {count:,} Gaussians take {needed:,} bytes, got {len(content):,}")
    ends = count * np.cumsum((0, *widths))
    return _gaussians([content[start:end] for start, end in pairwise(ends.tolist())], version, count, bits)


def _of_streams(path: Path) -> Gaussians:
    """Of version 4: each part by itself, packed by Zstandard."""
    try:
        import zstandard  # pyright: ignore[reportMissingImports]: of an extra
    except ImportError:
        raise ValueError(
            f'{path} is an .spz of version 4, which takes one more package: pip install "fasttext2style[spz]" (or save '
            "it as .ply)"
        ) from None
    whole = path.read_bytes()
    if len(whole) < STREAMS_HEADER.size:
        raise ValueError(f"{path} is cut short: it ends within its header; copy or export it again")
    magic, version, count, degree, bits, _, streams, sizes = STREAMS_HEADER.unpack_from(whole)
    widths = [width for width in _widths(path, magic, version, count, degree, bits, (4,)) if width]
    at = sizes + streams * STREAM.size
    if streams != len(widths) or sizes < STREAMS_HEADER.size or at > len(whole):
        raise ValueError(f"{path} is cut short or damaged: {streams} streams, expected {len(widths)}")
    parts = []
    for number, width in enumerate(widths):
        packed, _ = STREAM.unpack_from(whole, sizes + number * STREAM.size)
        try:
            with zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(whole[at : at + packed]) as reader:
                parts.append(reader.read(count * width))
        except zstandard.ZstdError as error:
            raise ValueError(f"{path} is cut short or damaged ({error}); copy or export it again") from error
        if len(parts[-1]) < count * width:
            raise ValueError(f"{path} is cut short: part {number} has {len(parts[-1]):,} of {count * width:,} bytes")
        at += packed
    return _gaussians([*parts, b""][:6], version, count, bits)


def _widths(
    path: Path, magic: int, version: int, count: int, degree: int, bits: int, versions: tuple[int, ...]
) -> tuple[int, ...]:
    """Bytes of each part of a Gaussian: place, opacity, colour, sizes, rotation, spherical harmonics.

    Raises:
        ValueError: numbers of a header that are not those of a scene, or too many for the file.
    """
    if magic != SPZ_MAGIC or version not in versions or degree not in SPZ_REST or bits > 24:
        raise ValueError(
            f"{path} is not an .spz that is read here (mark {magic:#x}, version {version}, SH degree {degree}, "
            f"{bits} bits): expected version 1 to 4 with SH of degree 0 to 3; save it as .ply"
        )
    if count == 0:
        raise ValueError(f"{path} holds no Gaussians; was everything pruned or cropped away?")
    widths = (6 if version == 1 else 9, 1, 3, 3, 4 if version >= 3 else 3, 3 * SPZ_REST[degree])
    if count * sum(widths) > most_unpacked(path.stat().st_size):
        raise ValueError(f"{path} promises {count:,} Gaussians, more than {path.stat().st_size:,} bytes can hold")
    return widths


def _gaussians(parts: list[bytes], version: int, count: int, bits: int) -> Gaussians:
    columns = (np.frombuffer(part, np.uint8).reshape(count, -1) for part in parts)
    places, alphas, colors, scales, rotations, sh = columns
    sh_rest = (sh.astype(np.float32) - 128) / 128
    return Gaussians(
        means=torch.from_numpy(_places(places, version, bits)),
        quats=torch.from_numpy(_quats(rotations)),
        log_scales=torch.from_numpy(scales.astype(np.float32) / 16 - 10),
        logit_opacities=torch.from_numpy(_logits(alphas[:, 0].astype(np.float32) / 255)),
        sh_dc=torch.from_numpy((colors.astype(np.float32) / 255 - np.float32(0.5)) / np.float32(SPZ_COLOR_SCALE)),
        sh_rest=torch.from_numpy(sh_rest.reshape(count, -1, 3)),
    )


def _places(
    stored: UInt8[np.ndarray, "gaussians bytes"], version: int, bits: int
) -> Float32[np.ndarray, "gaussians 3"]:
    """Half floats, or fixed point numbers of 24 bits with so many behind the point."""
    if version == 1:
        return np.ascontiguousarray(stored).view("<f2").astype(np.float32)
    wide = np.zeros((len(stored), 3, 4), dtype=np.uint8)
    wide[..., 1:] = stored.reshape(-1, 3, 3)
    # The sign is that of the highest byte.
    return ((wide.view("<i4")[..., 0] >> 8) / (1 << bits)).astype(np.float32)


def _quats(stored: UInt8[np.ndarray, "gaussians bytes"]) -> Float32[np.ndarray, "gaussians 4"]:
    """x, y, z around 127.5, of a w that is not negative; or, in 32 bits, `compact`'s smallest three."""
    if stored.shape[1] == 3:
        xyz = stored.astype(np.float32) / np.float32(127.5) - 1
        return quats_of_smallest_three(xyz, np.zeros(len(xyz), dtype=np.uint32))
    packed = np.ascontiguousarray(stored).view("<u4")[:, 0].astype(np.uint32)
    parts = np.stack([(packed >> shift) & 1023 for shift in (20, 10, 0)], axis=1)
    sizes = (parts & 511).astype(np.float32) / np.float32(511 * math.sqrt(2))
    xyzw = quats_of_smallest_three(np.where(parts & 512, -sizes, sizes), packed >> 30)
    return np.roll(xyzw, 1, axis=1)


def _logits(opacities: Float32[np.ndarray, " gaussians"]) -> Float32[np.ndarray, " gaussians"]:
    with np.errstate(divide="ignore"):
        return np.clip(np.log(opacities) - np.log1p(-opacities), -OPAQUE, OPAQUE)
