"""What a file says about its size, compared with its size on the disk and with a limit before anything is allocated.

numpy alone believes a header of 100 bytes that promises a terabyte, and unpacks a megabyte of zeros to a gigabyte.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

LARGEST_ARRAY = 200 * 10**6
"""Bytes of an array that is unpacked from a file: weights of 50 million Gaussians."""
MOST_UNPACKED, SMALL = 32, 32 * 10**6
"""Bytes that one byte of a packed file becomes at most, where it becomes more than so many: of a scene of noise two, of
one without view dependence four, of pictures one. Zeros would become a thousand, or ten thousand."""
_SMALL_READ = 1 << 20
"""Bytes."""
_ENTRIES = 64
"""Of an archive; ours have three."""


def bytes_left(stream: IO[bytes]) -> int:
    """Of a file on the disk, from where the stream stands."""
    return max(0, os.fstat(stream.fileno()).st_size - stream.tell())


def most_unpacked(size: int) -> int:
    """Bytes that a packed file of this size may be unpacked to."""
    return max(SMALL, MOST_UNPACKED * size)


class BoundedReader(io.BufferedReader):
    """A file on the disk, of which no more is asked than it has.

    Python allocates what is to be read before it looks whether it is there, and Pillow asks for as much as the header
    of a damaged picture promises: up to 2 GB of a file of 200 bytes.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))

    def read(self, size: int | None = -1, /) -> bytes:
        # Headers are read in hundreds of small pieces, each of which is allocated anyway.
        if size is not None and size > _SMALL_READ:
            size = min(size, bytes_left(self))
        return super().read(size)


def is_endless(path: Path) -> bool:
    """Whether it is a pipe, which would be waited for, or a device, which may never end: an archive may hold either."""
    return path.exists() and not path.is_file() and not path.is_dir()


def check_is_file(path: Path) -> None:
    """Raises ValueError if it `is_endless`. What is not there, and a folder, are for whoever opens it."""
    if is_endless(path):
        raise ValueError(f"{path} is no file, but a pipe or a device")


def read_arrays(path: Path, names: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    """Those of the named arrays that a .npz holds, or the one of a .npy under the first of the names.

    Raises:
        ValueError: neither of both, damaged, or an array that is larger than `LARGEST_ARRAY`.
        OSError: it cannot be opened.
    """
    check_is_file(path)
    with open(path, "rb") as stream:
        if stream.read(6) == b"\x93NUMPY":
            stream.seek(0)
            with _damaged(path):
                return {names[0]: _array(stream, bytes_left(stream), f"{path}")}
        with _damaged(path), zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            if len(entries) > _ENTRIES:
                raise ValueError(f"{path} holds {len(entries):,} entries, expected arrays such as {', '.join(names)}")
            found = {entry.filename.removesuffix(".npy"): entry for entry in entries}
            arrays = {}
            for name in names:
                if name in found:
                    with open_entry(archive, found[name]) as entry:
                        arrays[name] = _array(entry, found[name].file_size, f"{name} in {path}")
            if not arrays:
                raise ValueError(f"{path} has {sorted(found)[:8]}, not {names[0]}")
            return arrays


def open_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    """To be read in pieces, or as many bytes as it promises: asked for all, zipfile unpacks more before it looks.

    Raises:
        ValueError: packed by one of the methods that zipfile unpacks without a limit.
    """
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is packed by method {entry.compress_type}, expected deflate (8) or none")
    return archive.open(entry)


def _array(stream: IO[bytes], size: int, where: str) -> np.ndarray:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{where} is of version {version} of numpy's format, expected 1 or 2")
    read_header: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    count = 1
    for length in shape:
        count *= int(length)  # Python's own integers: they do not overflow
    needed = count * dtype.itemsize
    if count < 0 or dtype.hasobject or needed > min(size, LARGEST_ARRAY):
        raise ValueError(
            f"{where} promises {list(shape)} values of {dtype.itemsize} bytes: {needed:,} bytes, of which there are "
            f"{size:,}; at most {LARGEST_ARRAY:,} are read"
        )
    content = bytearray(needed)
    view, filled = memoryview(content), 0
    while filled < needed:
        block = stream.read(min(1 << 20, needed - filled))
        if not block:
            raise ValueError(f"{where} is cut short: {filled:,} of {needed:,} bytes are there")
        view[filled : filled + len(block)] = block
        filled += len(block)
    return np.frombuffer(content, dtype=dtype).reshape(shape)


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """What numpy and zipfile raise for files that are none of theirs is as many kinds as there are damages."""
    try:
        yield
    except Exception as error:
        said = str(error)
        raise ValueError(
            said if str(path) in said else f"{path} is damaged ({type(error).__name__}: {error})"
        ) from error
