"""To how many bytes the pages of a Parquet file are unpacked, by their own headers.

pyarrow allocates what the header of a page promises, whatever the file says of its columns, and asked for what that is
it ends the process where it is damaged. So footer and headers are read here. They are of Thrift's compact protocol.
Source: apache/parquet-format (README.md, parquet.thrift) and apache/thrift, doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any

from fasttext2style.trust.sizes import BoundedReader

LARGEST_FOOTER = 1 << 20
"""Bytes: a thousand groups of rows."""
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, _, STRUCT = range(1, 13)
"""Thrift's types."""
ROW_GROUPS, COLUMNS, ABOUT_COLUMN, NAMES = (4, LIST), (1, LIST), (3, STRUCT), (3, LIST)
PACKED_COLUMN, FIRST_PAGE, FIRST_DICTIONARY = (7, I64), (9, I64), (11, I64)
ENDS = "it ends within its footer, or the header of a page"
UNPACKED_PAGE, PACKED_PAGE = (2, I32), (3, I32)
"""Fields of parquet.thrift; sizes of a page are without its header."""


def unpacked_size(path: Path, wanted: Collection[str]) -> int:
    """Bytes of all pages of these columns.

    Raises:
        ValueError: damaged.
        OSError: it cannot be read.
    """
    with BoundedReader(path) as stream:
        stream.seek(-8, 2)
        length, mark = struct.unpack("<I4s", stream.read(8))
        if mark != b"PAR1" or length > LARGEST_FOOTER:
            raise ValueError(f"its footer ends on {mark} and has {length:,} bytes, at most {LARGEST_FOOTER:,} are read")
        stream.seek(-8 - length, 2)
        try:
            groups = _struct(BytesIO(stream.read(length)))[ROW_GROUPS]
            columns = [column[ABOUT_COLUMN] for group in groups for column in group[COLUMNS]]
            return sum(_of_column(stream, one) for one in columns if one[NAMES][0].decode() in wanted)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"its footer is damaged ({type(error).__name__}: {error})") from error


def _of_column(stream: BufferedIOBase, about: dict[tuple[int, int], Any]) -> int:
    first, needed = about[FIRST_PAGE], 0
    stream.seek(min(first, about.get(FIRST_DICTIONARY) or first))
    end = stream.tell() + about[PACKED_COLUMN]
    while stream.tell() < end:
        header = _struct(stream)
        unpacked, packed = header[UNPACKED_PAGE], header[PACKED_PAGE]
        if not (0 <= unpacked < 2**31 and 0 <= packed < 2**31):
            raise ValueError(f"a page promises {unpacked:,} bytes in {packed:,}")
        needed += unpacked
        stream.seek(packed, 1)
    return needed


def _struct(stream: BufferedIOBase) -> dict[tuple[int, int], Any]:
    """Its fields by number and type: one of another type is another one, which readers pass over."""
    found: dict[tuple[int, int], Any] = {}
    number = 0
    while kind := _byte(stream):
        kind, step = kind & 15, kind >> 4
        number = number + step if step else _signed(stream)
        if not 0 <= number < 1000:
            raise ValueError(f"a field has number {number}")
        found[number, kind] = kind == TRUE if kind in (TRUE, FALSE) else _value(stream, kind)
    return found


def _value(stream: BufferedIOBase, kind: int) -> Any:
    if kind in (I16, I32, I64):
        return _signed(stream)
    if kind in (TRUE, FALSE, BYTE):
        return _byte(stream)
    if kind in (BINARY, DOUBLE):
        length = 8 if kind == DOUBLE else _unsigned(stream)
        content = stream.read(length)
        if len(content) < length:
            raise ValueError(ENDS)
        return content
    if kind in (LIST, SET):
        head = _byte(stream)
        count = head >> 4 if head >> 4 < 15 else _unsigned(stream)
        return [_value(stream, head & 15) for _ in range(count)]
    if kind == STRUCT:
        return _struct(stream)
    raise ValueError(f"a field has type {kind}")


def _signed(stream: BufferedIOBase) -> int:
    value = _unsigned(stream)
    return (value >> 1) ^ -(value & 1)


def _unsigned(stream: BufferedIOBase) -> int:
    value = 0
    for shift in range(0, 63, 7):
        byte = _byte(stream)
        value |= (byte & 127) << shift
        if byte < 128:
            return value
    raise ValueError("a number has more than 63 bits")


def _byte(stream: BufferedIOBase) -> int:
    byte = stream.read(1)
    if not byte:
        raise ValueError(ENDS)
    return byte[0]
