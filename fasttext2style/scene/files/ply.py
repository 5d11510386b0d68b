"""3D Gaussian Splatting .ply files, of any trainer.

Vertex properties: x y z, f_dc_0..2, f_rest_*, opacity, scale_0..2, rot_0..3, in any order and of any number type; other
properties are ignored. Values stand before activation, so they are the tensors of `Gaussians` themselves; those that
are infinite there and fine after it (an opacity of exactly 1 or 0, a Gaussian without thickness) become large ones.
f_rest is stored colour by colour: all coefficients of red, then green, then blue.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import Float32

from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.scene.gaussians import SH_C0, SH_DEGREES, Gaussians
from fasttext2style.trust.sizes import bytes_left

TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float32": "f4", "float64": "f8"},
}
"""Number types of a .ply header, in both spellings -> numpy's."""
FORMATS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
"""Formats of a .ply -> numpy's byte order."""
OPAQUE = 20.0
"""Logit in place of infinity: in 32 bits its sigmoid is 1."""
THINNEST = -20.0
"""log_scale in place of minus infinity: 2e-9 units."""
WITHOUT_INVALID = "export the scene again without them"
ROWS_AT_ONCE = 1 << 17
HEADER_LIMIT = 1 << 20
"""Bytes read in search of a header's end; a file without one may be gigabytes long."""
MOST_PROPERTIES = 1000
"""Of a vertex; those of SH degree 3 have 62."""
LONGEST_NUMBER = 400
"""Digits and all else of a number in an ascii file: those of the largest double, written out, are 309."""


def read_ply(path: Path | str, drop_invalid: bool = False, remedy: str = WITHOUT_INVALID) -> Gaussians:
    """The scene in a .ply file, on the CPU, bit for bit if the file holds 32 bit floats.

    A file that has red, green, blue (0 to 255) in place of f_dc (`ns-export --ply-color-mode rgb`) is read too.

    Args:
        drop_invalid: leave out rows with NaN or infinite values, with a warning.
        remedy: what people can do where such rows are not left out.

    Raises:
        ValueError: no .ply file, no Gaussians in it, properties missing, cut short, or rows with NaN or infinite
            values.
    """
    path = Path(path)
    with open(path, "rb") as stream:
        vertices = _read_vertices(stream, _some_vertices(stream, path), path)
    gaussians = gaussians_of_vertices(vertices, path)
    invalid = gaussians.invalid_rows()
    if not invalid:
        return gaussians
    any_invalid = torch.stack(list(invalid.values())).any(dim=0)
    counts = ", ".join(f"{name}: {int(rows.sum()):,}" for name, rows in invalid.items())
    found = f"{path}: {int(any_invalid.sum()):,} of {len(gaussians):,} Gaussians have NaN or infinite values ({counts})"
    if not drop_invalid:
        raise ValueError(f"{found}: {remedy}")
    if bool(any_invalid.all()):
        raise ValueError(f"{found}, so nothing is left; export the scene again")
    warnings.warn(f"{found}; they are left out", stacklevel=2)
    return gaussians.subset(~any_invalid)


def read_vertices(path: Path) -> np.ndarray:
    """All vertices of any .ply file as a structured array, ascii ones as doubles. There may be none.

    Raises:
        ValueError: no .ply file, or cut short.
    """
    with open(path, "rb") as stream:
        return _read_vertices(stream, _read_header(stream, path), path)


def map_vertices(path: Path) -> np.ndarray:
    """The vertices of a .ply as a structured array; `gaussians_of_vertices` takes all or some of them.

    They are read from the disk when they are looked at (ascii ones at once).

    Raises:
        ValueError: no .ply file, no Gaussians in it, or cut short.
    """
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
    """Parse the header and leave the stream at the first byte after it."""
    start = stream.read(HEADER_LIMIT)
    if not start.startswith((b"ply\n", b"ply\r")):
        raise ValueError(f"{path} is not a .ply file: it starts with {start[:12]!r}, not with 'ply'")
    end = start.find(b"end_header")
    line_end = start.find(b"\n", end)
    if end < 0 or line_end < 0:
        raise ValueError(
            f"{path} has no end_header in its first {len(start):,} bytes; the file is cut short or damaged"
        )
    stream.seek(line_end + 1)
    encoding = ""
    elements: list[tuple[str, int, list[list[str]]]] = []
    for line in start[:end].decode("ascii", errors="replace").splitlines():
        match line.split():
            case ["format", encoding, *_]:
                pass
            case ["element", name, count] if count.isdigit() and len(count) < 20:
                elements.append((name, int(count), []))
            case ["property", *type_and_name] if elements:
                elements[-1][2].append(type_and_name)
            case [] | ["ply"] | ["comment" | "obj_info", *_]:
                pass
            case _:
                raise ValueError(f"{path}: cannot read the header line {line!r}")
    if encoding not in FORMATS:
        raise ValueError(f"{path}: format should be one of {', '.join(FORMATS)}, got {encoding or 'none'!r}")
    if any("packed" in name for _, _, properties in elements for *_, name in properties):
        raise ValueError(f"{path} is a compressed .ply; save it uncompressed (in SuperSplat: export as PLY) first")
    element_names = [name for name, _, _ in elements]
    if "vertex" not in element_names:
        raise ValueError(f"{path} has no element vertex, only {element_names}")
    position = element_names.index("vertex")
    dtypes = [_element_dtype(properties, FORMATS[encoding], path) for _, _, properties in elements[: position + 1]]
    counts = [count for _, count, _ in elements[: position + 1]]
    bytes_before = sum(count * dtype.itemsize for count, dtype in zip(counts[:-1], dtypes))
    return _Header(encoding, counts[-1], dtypes[-1], bytes_before, lines_before=sum(counts[:-1]))


def _some_vertices(stream: IO[bytes], path: Path) -> _Header:
    """The header of a scene, which is never empty."""
    header = _read_header(stream, path)
    if header.count == 0:
        raise ValueError(f"{path} holds no Gaussians (element vertex 0); was everything pruned or cropped away?")
    return header


def _element_dtype(properties: list[list[str]], byte_order: str, path: Path) -> np.dtype:
    for words in properties:
        if len(words) != 2 or words[0] not in TYPES:
            raise ValueError(
                f"{path}: 'property {' '.join(words)}' is not one number: export it again without lists in its vertices"
            )
    names = [name for _, name in properties]
    if not names or len(names) > MOST_PROPERTIES:
        raise ValueError(f"{path} has an element of {len(names):,} properties, expected 1 to {MOST_PROPERTIES:,}")
    if len(set(names)) != len(names):
        raise ValueError(f"{path} names a property twice: {sorted({name for name in names if names.count(name) > 1})}")
    return np.dtype([(name, byte_order + TYPES[kind]) for kind, name in properties])


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

    Raises:
        ValueError: properties of a Gaussian are missing.
    """
    names = vertices.dtype.names or ()
    as_bytes = "f_dc_0" not in names and {"red", "green", "blue"} <= set(names)
    colors = ("red", "green", "blue") if as_bytes else _numbered("f_dc", 3)
    needed = ("x", "y", "z", *colors, "opacity", *_numbered("scale", 3), *_numbered("rot", 4))
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
    return Gaussians(
        means=columns_of(vertices, ("x", "y", "z")),
        quats=columns_of(vertices, _numbered("rot", 4)),
        log_scales=columns_of(vertices, _numbered("scale", 3)).nan_to_num(math.nan, math.inf, THINNEST),
        logit_opacities=columns_of(vertices, ("opacity",))[:, 0].nan_to_num(math.nan, OPAQUE, -OPAQUE),
        sh_dc=(sh_dc / 255 - 0.5) / SH_C0 if as_bytes else sh_dc,
        sh_rest=columns_of(vertices, rest).reshape(len(vertices), 3, len(rest) // 3).transpose(1, 2).contiguous()
        if rest
        else torch.zeros(len(vertices), 0, 3),
    )


def columns_of(vertices: np.ndarray, names: Sequence[str]) -> Float32[torch.Tensor, "vertices columns"]:
    """Some properties of vertices as floats."""
    table = np.empty((len(vertices), len(names)), dtype=np.float32)
    # A double too large for a float becomes infinite and is then reported with the other invalid rows.
    with np.errstate(over="ignore"):
        for column, name in enumerate(names):
            table[:, column] = vertices[name]
    return torch.from_numpy(table)
