"""3D Gaussian Splatting .ply files, of any trainer.

Vertex properties: x y z, f_dc_0..2, f_rest_*, opacity, scale_0..2, rot_0..3, in any order and of any number type; other
properties are ignored. Values stand before activation, so they are the tensors of `Gaussians` themselves; those that
are infinite there and fine after it (an opacity of exactly 1 or 0, a Gaussian without thickness) become large ones.
f_rest is stored colour by colour: all coefficients of red, then green, then blue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import Float32

from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.scene.files.packed_ply import INSTEAD, is_packed, read_packed
from fasttext2style.scene.files.ply_header import FORMATS, MOST_PROPERTIES, element_dtype, read_elements
from fasttext2style.scene.files.values import OPAQUE, THINNEST, WITHOUT_INVALID, without_invalid_rows
from fasttext2style.scene.gaussians import SH_C0, SH_DEGREES, Gaussians
from fasttext2style.trust.sizes import bytes_left, check_is_file

ROWS_AT_ONCE = 1 << 17
LONGEST_NUMBER = 400
"""Digits and all else of a number in an ascii file: those of the largest double, written out, are 309."""


def read_ply(path: Path | str, drop_invalid: bool = False, remedy: str = WITHOUT_INVALID) -> Gaussians:
    """The scene in a .ply file, on the CPU, bit for bit if the file holds 32 bit floats.

    Compressed ones (`packed_ply`) are read, too, and files that have red, green, blue (0 to 255) in place of f_dc
    (`ns-export --ply-color-mode rgb`).

    Args:
        drop_invalid: leave out rows with NaN or infinite values, with a warning.
        remedy: what people can do where such rows are not left out.

    Raises:
        ValueError: no .ply file, no Gaussians in it, properties missing, cut short, or rows with NaN or infinite
            values.
    """
    path = Path(path)
    if is_packed_ply(path):
        return without_invalid_rows(read_packed_ply(path), path, drop_invalid, remedy)
    with open(path, "rb") as stream:
        vertices = _read_vertices(stream, _some_vertices(stream, path), path)
    gaussians = gaussians_of_vertices(vertices, path)
    return without_invalid_rows(gaussians, path, drop_invalid, remedy)


def is_packed_ply(path: Path) -> bool:
    """Whether a file is a compressed .ply.

    Raises:
        ValueError: it is no .ply.
    """
    check_is_file(path)
    with open(path, "rb") as stream:
        return is_packed(read_elements(stream, path)[1])


def read_packed_ply(path: Path) -> Gaussians:
    """The scene in a compressed .ply; it may have NaN.

    Raises:
        ValueError: as `read_packed`.
    """
    check_is_file(path)
    with open(path, "rb") as stream:
        return read_packed(stream, *read_elements(stream, path), path)


def read_vertices(path: Path) -> np.ndarray:
    """All vertices of any .ply file as a structured array, ascii ones as doubles. There may be none.

    Raises:
        ValueError: no .ply file, or cut short.
    """
    check_is_file(path)
    with open(path, "rb") as stream:
        return _read_vertices(stream, _read_header(stream, path), path)


def map_vertices(path: Path) -> np.ndarray:
    """The vertices of a .ply as a structured array; `gaussians_of_vertices` takes all or some of them.

    They are read from the disk when they are looked at (ascii ones at once).

    Raises:
        ValueError: no .ply file, no Gaussians in it, or cut short.
    """
    check_is_file(path)
    with open(path, "rb") as stream:
        header = _some_vertices(stream, path)
        start = stream.tell() + header.bytes_before
        if header.format == "ascii" or start + header.count * header.vertex.itemsize > path.stat().st_size:
            return _read_vertices(stream, header, path)
    return np.memmap(path, header.vertex, "r", start, (header.count,))


def invalid_rows(vertices: np.ndarray, path: Path) -> np.ndarray:
    """[vertices] of `map_vertices`: which are no Gaussians, for they have NaN or infinite values."""
    found = np.zeros(len(vertices), dtype=bool)
    for start in range(0, len(vertices), ROWS_AT_ONCE):
        for rows in gaussians_of_vertices(vertices[start : start + ROWS_AT_ONCE], path).invalid_rows().values():
            found[start : start + ROWS_AT_ONCE] |= rows.numpy()
    return found


def write_ply(path: Path | str, gaussians: Gaussians) -> None:
    """Write a scene so that other programs, and `read_ply`, can read it: 32 bit floats, little endian, atomically.

    Properties stand in the order of the 3DGS code and of `ns-export gaussian-splat`, with zero normals.

    Raises:
        ValueError: there are no Gaussians to write.
    """
    if len(gaussians) == 0:
        raise ValueError(f"There are no Gaussians to write to {path}")
    columns = {
        ("x", "y", "z"): gaussians.means,
        ("nx", "ny", "nz"): torch.zeros(len(gaussians), 3),
        _numbered("f_dc", 3): gaussians.sh_dc,
        _numbered("f_rest", 3 * gaussians.sh_rest.shape[1]): gaussians.sh_rest.transpose(1, 2).flatten(1),
        ("opacity",): gaussians.logit_opacities[:, None],
        _numbered("scale", 3): gaussians.log_scales,
        _numbered("rot", 4): gaussians.quats,
    }
    names = [name for group in columns for name in group]
    table = torch.cat([values.detach().to("cpu", torch.float32) for values in columns.values()], dim=1)
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(gaussians)}"]
    header += [f"property float {name}" for name in names] + ["end_header"]
    with atomic_write(path) as stream:
        stream.write("\n".join(header).encode() + b"\n")
        stream.write(np.ascontiguousarray(table.numpy(), dtype="<f4").data)


@dataclass(frozen=True)
class _Header:
    format: str
    count: int
    vertex: np.dtype
    bytes_before: int
    """Of binary elements that stand before the vertices."""
    lines_before: int
    """Of ascii elements that stand before the vertices."""


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for number in range(count))


def _read_header(stream: IO[bytes], path: Path) -> _Header:
    """What matters for the vertices; leaves the stream at the first byte after the header."""
    encoding, elements = read_elements(stream, path)
    if is_packed(elements):
        raise ValueError(f"{path} is a compressed .ply; {INSTEAD}")
    element_names = [element.name for element in elements]
    if "vertex" not in element_names:
        raise ValueError(f"{path} has no element vertex, only {element_names}")
    before = elements[: element_names.index("vertex") + 1]
    dtypes = [element_dtype(element, FORMATS[encoding], path) for element in before]
    counts = [element.count for element in before]
    bytes_before = sum(count * dtype.itemsize for count, dtype in zip(counts[:-1], dtypes))
    return _Header(encoding, counts[-1], dtypes[-1], bytes_before, lines_before=sum(counts[:-1]))


def _some_vertices(stream: IO[bytes], path: Path) -> _Header:
    """The header of a scene, which is never empty."""
    header = _read_header(stream, path)
    if header.count == 0:
        raise ValueError(f"{path} holds no Gaussians (element vertex 0); was everything pruned or cropped away?")
    return header


def _read_vertices(stream: IO[bytes], header: _Header, path: Path) -> np.ndarray:
    """The vertices as a structured array, ascii ones as doubles; the header is compared with the file first."""
    there, numbers = bytes_left(stream), len(header.vertex.names or ())
    if header.format == "ascii":
        # A number takes two bytes at least, with what stands behind it.
        if header.lines_before + 2 * header.count * numbers > there + 1:
            raise ValueError(_cut_short(path, header, f"{there:,} bytes"))
        return _read_lines(stream, header, path)
    expected = header.count * header.vertex.itemsize
    if header.bytes_before + expected > there:
        raise ValueError(
            f"{path} is cut short: {header.count:,} vertices take {expected:,} bytes, got "
            f"{max(0, there - header.bytes_before):,}; copy or export it again"
        )
    stream.seek(header.bytes_before, 1)
    return np.frombuffer(stream.read(expected), dtype=header.vertex)


def _cut_short(path: Path, header: _Header, got: str) -> str:
    numbers = len(header.vertex.names or ())
    return (
        f"{path} is cut short or damaged: {header.count:,} vertices of {numbers} numbers make "
        f"{header.count * numbers:,}, got {got}"
    )


def _read_lines(stream: IO[bytes], header: _Header, path: Path) -> np.ndarray:
    """A vertex a line, some lines at a time: a file of single digits must not become many times as large in memory."""
    names = header.vertex.names or ()
    longest = LONGEST_NUMBER * max(1, len(names))
    for _ in range(header.lines_before):
        if not _line(stream, LONGEST_NUMBER * MOST_PROPERTIES, path):
            break
    table = np.empty((header.count, len(names)), dtype=np.float64)
    for row in range(header.count):
        words = _line(stream, longest, path).split()
        if len(words) != len(names):
            raise ValueError(_cut_short(path, header, f"{len(words):,} in vertex {row:,}"))
        try:
            # numpy reads what Python's float reads, but for 1_000.
            table[row] = words if b"_" not in b"".join(words) else [float("_")]
        except ValueError as error:
            raise ValueError(f"{path}: vertex {row:,} has something that is not a number ({error})") from error
    return table.reshape(-1).view([(name, np.float64) for name in names])


def _line(stream: IO[bytes], longest: int, path: Path) -> bytes:
    line = stream.readline(longest)
    if len(line) == longest and not line.endswith(b"\n"):
        raise ValueError(f"{path} has a line of more than {longest:,} bytes, which is no vertex; is it damaged?")
    return line


def gaussians_of_vertices(vertices: np.ndarray, path: Path) -> Gaussians:
    """Vertices of `map_vertices` as Gaussians, values as they are but for infinite ones that mean something.

    Those of 2DGS have no third scale: they are flat. Mip-Splatting's keep the width of a filter beside scales and
    opacities, and are meant as filtered.

    Raises:
        ValueError: properties of a Gaussian are missing.
    """
    names = vertices.dtype.names or ()
    as_bytes = "f_dc_0" not in names and {"red", "green", "blue"} <= set(names)
    colors = ("red", "green", "blue") if as_bytes else _numbered("f_dc", 3)
    scales = _numbered("scale", 2 if "scale_2" not in names else 3)
    needed = ("x", "y", "z", *colors, "opacity", *scales, *_numbered("rot", 4))
    missing = [name for name in needed if name not in names]
    if missing:
        kind = "a point cloud or mesh" if "opacity" in missing and "scale_0" in missing else "not a complete 3DGS scene"
        raise ValueError(f"{path} is {kind}: it lacks {', '.join(missing)}; it has {', '.join(names)}")
    rest_names = [name for name in names if name.startswith("f_rest_")]
    rest = _numbered("f_rest", len(rest_names))
    if set(rest) != set(rest_names) or len(rest) // 3 not in SH_DEGREES or len(rest) % 3:
        raise ValueError(
            f"{path} should have 0, 9, 24 or 45 properties f_rest_0 ... (spherical harmonics of degree 0 to 3), "
            f"got {len(rest_names)}" + (f" up to {max(rest_names, key=len)}" if set(rest) != set(rest_names) else "")
        )
    sh_dc = columns_of(vertices, colors)
    log_scales = columns_of(vertices, scales).nan_to_num(math.nan, math.inf, THINNEST)
    if len(scales) == 2:
        log_scales = torch.nn.functional.pad(log_scales, (0, 1), value=THINNEST)
    logits = columns_of(vertices, ("opacity",))[:, 0].nan_to_num(math.nan, OPAQUE, -OPAQUE)
    if "filter_3D" in names:
        log_scales, logits = _filtered(log_scales, logits, columns_of(vertices, ("filter_3D",)))
    return Gaussians(
        means=columns_of(vertices, ("x", "y", "z")),
        quats=columns_of(vertices, _numbered("rot", 4)),
        log_scales=log_scales,
        logit_opacities=logits,
        sh_dc=(sh_dc / 255 - 0.5) / SH_C0 if as_bytes else sh_dc,
        sh_rest=columns_of(vertices, rest).reshape(len(vertices), 3, len(rest) // 3).transpose(1, 2).contiguous()
        if rest
        else torch.zeros(len(vertices), 0, 3),
    )


def _filtered(
    log_scales: Float32[torch.Tensor, "vertices 3"],
    logits: Float32[torch.Tensor, " vertices"],
    widths: Float32[torch.Tensor, "vertices 1"],
) -> tuple[Float32[torch.Tensor, "vertices 3"], Float32[torch.Tensor, " vertices"]]:
    """Widened by the filter, and as much fainter: as Mip-Splatting's create_fused_ply.py writes them for viewers."""
    before = log_scales.double()
    after = torch.logaddexp(2 * before, 2 * widths.double().abs().log()) / 2
    opacities = logits.double().sigmoid() * (before - after).sum(dim=1).exp()
    return after.float(), opacities.logit().clamp(-OPAQUE, OPAQUE).float()


def columns_of(vertices: np.ndarray, names: Sequence[str]) -> Float32[torch.Tensor, "vertices columns"]:
    """Some properties of vertices as floats."""
    table = np.empty((len(vertices), len(names)), dtype=np.float32)
    # A double too large for a float becomes infinite and is then reported with the other invalid rows.
    with np.errstate(over="ignore"):
        for column, name in enumerate(names):
            table[:, column] = vertices[name]
    return torch.from_numpy(table)
