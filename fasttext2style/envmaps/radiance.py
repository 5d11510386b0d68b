"""Radiance pictures (.hdr) row by row, in both directions: a panorama of 16k passes through a few megabytes.

Ward, Real Pixels (Graphics Gems II), and Radiance's filefmts. A pixel is four bytes, RGBE: three mantissas, and the
exponent of the brightest. Rows of 8 to 32767 pixels begin with 2, 2 and their width, and are runs of bytes: all reds,
then greens, blues, exponents. Others lie there pixel by pixel, as these may, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, UInt8

BAND_ROWS = 64
LARGEST_HEADER = 1 << 16
BRIGHTEST = 2.0**127
"""What is as bright, or brighter, has no exponent."""
_DARKEST = 1e-32
"""What is darker is black, as everybody writes it."""
_SHORTEST, _LONGEST = 8, 32767
"""Rows that are packed."""
_RUN, _LONGEST_RUN, _LONGEST_REST = 4, 127, 128
"""Shorter runs are not worth their two bytes; the longest ones, and stretches without any, that a byte can count."""
_SCALES = np.ldexp(np.float32(1), np.arange(256) - 136).astype(np.float32)
"""Of an exponent: what a mantissa is multiplied with."""

Rgbe = UInt8[np.ndarray, "rows width 4"]
Light = Float[np.ndarray, "rows width 3"]


def shortest(width: int) -> int:
    """Bytes of a row of this width that is packed as closely as can be."""
    return 4 + 8 * -(-width // _LONGEST_RUN) if _SHORTEST <= width <= _LONGEST else 4 * width


def header(height: int, width: int) -> bytes:
    """What stands before the rows, the topmost of which comes first."""
    return f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n".encode()


def read_rows(read: Callable[[int], bytes], height: int, width: int) -> Iterator[Rgbe]:
    """The rows of a file whose header was read, some at a time.

    Args:
        read: of the file: gives so many bytes, or all that are left.

    Raises:
        ValueError: damaged or cut short; a reason without the file's name.
    """
    # Bytes by themselves, with a count each: no row is longer.
    longest = 4 + 8 * width
    content, at = b"", 0
    for first in range(0, height, BAND_ROWS):
        rows = min(BAND_ROWS, height - first)
        content = content[at:]
        content, at = content + read(max(0, rows * longest - len(content))), 0
        band = np.empty((rows, width, 4), np.uint8)
        for row in range(rows):
            try:
                band[row], at = _row(content, at, width)
            except ValueError as error:
                raise ValueError(f"row {first + row}: {error}") from None
        yield band


def packed(rows: Rgbe) -> bytes:
    """Rows as they follow each other in a file that begins with `header`."""
    width = rows.shape[1]
    if not _SHORTEST <= width <= _LONGEST:
        return rows.tobytes()
    start = bytes([2, 2, width >> 8, width & 255])
    return b"".join(start + b"".join(_packed(row[:, channel]) for channel in range(4)) for row in rows)


def to_light(rgbe: Rgbe) -> Light:
    """Linear radiance of pixels; (128, 64, 32, 129) is (1, 0.5, 0.25)."""
    return rgbe[..., :3] * np.where(rgbe[..., 3:] > 0, _SCALES[rgbe[..., 3:]], np.float32(0))


def to_rgbe(light: Light) -> Rgbe:
    """Pixels of linear radiance from 0 to below `BRIGHTEST`, mantissas rounded down, as everybody writes it."""
    brightest = light.max(axis=-1)
    exponents, is_black = np.frexp(brightest)[1], brightest < _DARKEST
    factors = np.where(is_black, 0, np.ldexp(np.float32(1), 8 - np.where(is_black, 0, exponents)))
    rgbe = np.empty((*light.shape[:2], 4), np.uint8)
    rgbe[..., :3] = light * factors[..., None].astype(np.float32)
    rgbe[..., 3] = np.where(is_black, 0, exponents + 128)
    return rgbe


def _row(content: bytes, at: int, width: int) -> tuple[UInt8[np.ndarray, "width 4"], int]:
    """The row that begins at a byte, and where the next one begins."""
    start = content[at : at + 4]
    if len(start) < 4:
        raise ValueError("the file ends before it")
    if not _SHORTEST <= width <= _LONGEST or start[:2] != b"\2\2" or start[2] > 127:
        end = at + 4 * width
        if end > len(content):
            raise ValueError("the file ends in it")
        row = np.frombuffer(content[at:end], np.uint8).reshape(width, 4)
        if bool((row[:, :3] == 1).all(axis=1).any()):
            raise ValueError("it has runs as they were written before 1991; open and save it with another program")
        return row, end
    if int.from_bytes(start[2:], "big") != width:
        raise ValueError(f"it has {int.from_bytes(start[2:], 'big')} pixels, expected {width}")
    at += 4
    planes = bytearray()
    for end in range(width, 4 * width + 1, width):
        while len(planes) < end:
            count = content[at] if at < len(content) else 0
            if count > 128:
                planes += content[at + 1 : at + 2] * (count - 128)
                at += 2
            elif count:
                planes += content[at + 1 : at + 1 + count]
                at += 1 + count
            else:
                raise ValueError("a run of nothing" if at < len(content) else "the file ends in it")
        if len(planes) > end:
            raise ValueError("a run goes on beyond its end")
    return np.frombuffer(planes, np.uint8).reshape(4, width).T, at


def _packed(plane: UInt8[np.ndarray, " width"]) -> bytes:
    """One channel of a row, in runs."""
    content, packed, done = plane.tobytes(), bytearray(), 0
    starts = np.flatnonzero(np.concatenate([[True], plane[1:] != plane[:-1]]))
    lengths = np.diff(np.append(starts, len(plane)))
    worth = lengths >= _RUN
    for start, length in [*zip(starts[worth].tolist(), lengths[worth].tolist()), (len(plane), 0)]:
        for rest in range(done, start, _LONGEST_REST):
            some = content[rest : min(rest + _LONGEST_REST, start)]
            packed.append(len(some))
            packed += some
        done = start + length
        for left in range(length, 0, -_LONGEST_RUN):
            packed += bytes([128 + min(left, _LONGEST_RUN), content[start]])
    return bytes(packed)
