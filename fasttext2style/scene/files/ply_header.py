"""Headers of .ply files: which elements there are, how many of each, and which numbers make one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float32": "f4", "float64": "f8"},
}
"""Number types of a .ply header, in both spellings -> numpy's."""
FORMATS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
"""Formats of a .ply -> numpy's byte order."""
HEADER_LIMIT = 1 << 20
"""Bytes read in search of a header's end; a file without one may be gigabytes long."""
MOST_PROPERTIES = 1000
"""Of a vertex; those of SH degree 3 have 62."""


@dataclass(frozen=True)
class Element:
    """A table of a .ply."""

    name: str
    count: int
    """Rows."""
    properties: list[list[str]]
    """Words of each: type and name, more for lists."""

    @property
    def names(self) -> list[str]:
        """Of its properties."""
        return [words[-1] for words in self.properties if words]


def read_elements(stream: IO[bytes], path: Path) -> tuple[str, list[Element]]:
    """Format (of `FORMATS`) and elements; leaves the stream at the first byte after the header.

    Raises:
        ValueError: no .ply file, or a damaged header.
    """
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
    elements: list[Element] = []
    for line in start[:end].decode("ascii", errors="replace").splitlines():
        match line.split():
            case ["format", encoding, *_]:
                pass
            case ["element", name, count] if count.isdigit() and len(count) < 20:
                elements.append(Element(name, int(count), []))
            case ["property", *type_and_name] if elements:
                elements[-1].properties.append(type_and_name)
            case [] | ["ply"] | ["comment" | "obj_info", *_]:
                pass
            case _:
                raise ValueError(f"{path}: cannot read the header line {line!r}")
    if encoding not in FORMATS:
        raise ValueError(f"{path}: format should be one of {', '.join(FORMATS)}, got {encoding or 'none'!r}")
    return encoding, elements


def element_dtype(element: Element, byte_order: str, path: Path) -> np.dtype:
    """One row of an element as numpy reads it.

    Raises:
        ValueError: lists, unknown types, too many properties, or two of one name.
    """
    for words in element.properties:
        if len(words) != 2 or words[0] not in TYPES:
            raise ValueError(
                f"{path}: 'property {' '.join(words)}' is not one number: export it again without lists in its vertices"
            )
    names = [name for _, name in element.properties]
    if not names or len(names) > MOST_PROPERTIES:
        raise ValueError(f"{path} has an element of {len(names):,} properties, expected 1 to {MOST_PROPERTIES:,}")
    if len(set(names)) != len(names):
        raise ValueError(f"{path} names a property twice: {sorted({name for name in names if names.count(name) > 1})}")
    return np.dtype([(name, byte_order + TYPES[kind]) for kind, name in element.properties])
