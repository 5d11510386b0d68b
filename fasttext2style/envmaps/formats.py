"""What lies in the files of panoramas: their kind by content, their size by their headers, and their rows.

Rows come in bands, linear float32 [rows, width, 3], so that a map that is wanted smaller need not be held as a whole.
radiance.py decodes Radiance (.hdr), OpenEXR .exr, OpenCV 16-bit PNGs, Pillow other pictures. Pillow would round 16 bits
to 8; OpenCV has OpenEXR switched off, and takes 22 bytes a pixel for a .hdr.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from PIL import Image

from fasttext2style.captures.photographs import UNREADABLE
from fasttext2style.envmaps import radiance
from fasttext2style.trust.sizes import BoundedReader, check_is_file

Kind = Literal["Radiance", "OpenEXR", "PNG", "JPEG"]
SUFFIXES: dict[str, Kind] = {".hdr": "Radiance", ".exr": "OpenEXR", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Ending -> what should be in it."""
LARGEST_PIXELS = 16384 * 8192
"""Panoramas of 16k are the largest that are handed out."""
BAND_ROWS = radiance.BAND_ROWS
_MAGIC: dict[bytes, Kind] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?": "Radiance",
}
LARGEST_BLOCK = 100 * 10**6
"""Bytes of an .exr that are unpacked at once, in four times the memory: 16k has 50 million as floats in blocks of 256
rows, a tile of 16k may pack as many as 1,600 million into one."""
_EXR_ROWS = 256
"""Of a block, at most: those of DWAB; other compressions have fewer."""
_LETTERS = {"red": "R", "green": "G", "blue": "B"}
_PNG_AT_MOST = 1040
"""Deflate packs at most so many bytes into one."""

Band = Float[np.ndarray, "rows width 3"]


@dataclass(frozen=True)
class Head:
    """What the beginning of a file says."""

    path: Path
    kind: Kind
    width: int
    height: int


def kind_of(path: Path) -> Kind:
    """What is in a file, by its first bytes.

    Raises:
        ValueError: it cannot be opened, is none of these kinds, or not what its ending says.
    """
    start = _beginning(path, 16)
    kind: Kind | None = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    expected = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(SUFFIXES)
        what = f"{expected} picture" if expected else "panorama"
        raise ValueError(
            f"{path} is no {what} that can be read; panoramas are {known} files, this begins with {start[:8]!r}"
        )
    range_differs = (kind in ("PNG", "JPEG")) != (expected in ("PNG", "JPEG"))
    if expected is not None and kind != expected and range_differs:
        light = "display colours of a limited range" if kind in ("PNG", "JPEG") else "light of any brightness"
        right = next(suffix for suffix, known in SUFFIXES.items() if known == kind)
        raise ValueError(
            f"{path} is called {path.suffix}, but is a {kind} file, {light}: rename it to "
            f"{path.with_suffix(right).name} if that is what you want, or take the original"
        )
    return kind


def read_head(path: Path) -> Head:
    """Size and kind, nothing decoded.

    Raises:
        ValueError: as `kind_of`; a damaged header; or no panorama of at most `LARGEST_PIXELS`.
    """
    kind = kind_of(path)
    readers = {"Radiance": _radiance_size, "OpenEXR": _exr_size, "PNG": _pillow_size, "JPEG": _pillow_size}
    width, height = readers[kind](path)
    if width != 2 * height or height < 1:
        raise ValueError(
            f"{path} is {width} x {height} pixels, and a panorama is twice as wide as high: {_advice(width, height)}"
        )
    if width * height > LARGEST_PIXELS:
        raise ValueError(f"{path} is {width} x {height} pixels; at most 16384 x 8192 are read: scale it down")
    return Head(path, kind, width, height)


def read_bands(head: Head) -> Iterator[Band]:
    """The rows of a file from the top, float32, linear; PNG and JPEG are taken for sRGB, transparency is ignored.

    Raises:
        ValueError: damaged, cut short, or without colours.
    """
    if head.kind == "Radiance":
        return _radiance_bands(head)
    if head.kind == "OpenEXR":
        return _exr_bands(head)
    return _display_bands(head)


def _advice(width: int, height: int) -> str:
    if width < 1 or height < 1:
        return "it is empty"
    if width * 3 == height * 4 or width * 4 == height * 3 or width == 6 * height or height == 6 * width:
        return "this looks like a cube map; convert it to an equirectangular (latitude-longitude) one first"
    if width == height:
        return "a mirror ball, an angular map, one face of a cube? Convert it to an equirectangular one first"
    return "crop or pad it to 2:1, if it shows all directions at all"


def _beginning(path: Path, count: int) -> bytes:
    check_is_file(path)
    try:
        with open(path, "rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise ValueError(f"{path} cannot be opened: {error.strerror or error}") from error


# --- Radiance --------------------------------------------------------------------------------------------------------


def _radiance_size(path: Path) -> tuple[int, int]:
    return _radiance_header(path)[:2]


def _radiance_header(path: Path) -> tuple[int, int, int]:
    """Width, height, and the bytes before the first row: lines of text, an empty one, one of the size."""
    start = _beginning(path, radiance.LARGEST_HEADER)
    text, end, rest = start.partition(b"\n\n")
    first, ends, rows = rest.partition(b"\n")
    size_line = first[:80].decode("latin1")
    if not end or not ends:
        raise ValueError(f"{path} is cut short or damaged: its header does not end")
    formats = re.findall(rb"^FORMAT=(.*)$", text, re.MULTILINE)
    if formats and formats[-1].strip() != b"32-bit_rle_rgbe":
        raise ValueError(
            f"{path} has the format {formats[-1][:40].decode('latin1')}, expected 32-bit_rle_rgbe: save it as RGB"
        )
    found = re.fullmatch(r"-Y +([0-9]{1,9}) +\+X +([0-9]{1,9})\s*", size_line)
    if not found:
        raise ValueError(f"{path} has rows in the order {size_line!r}, expected '-Y HEIGHT +X WIDTH': save it upright")
    width, height = int(found[2]), int(found[1])
    if path.stat().st_size < radiance.shortest(width) * height:
        raise ValueError(f"{path} is cut short: {path.stat().st_size:,} bytes for {width} x {height} pixels")
    return width, height, len(start) - len(rows)


def _radiance_bands(head: Head) -> Iterator[Band]:
    with open(head.path, "rb") as stream:
        stream.seek(_radiance_header(head.path)[2])
        try:
            for rows in radiance.read_rows(stream.read, head.height, head.width):
                yield radiance.to_light(rows)
        except ValueError as error:
            raise ValueError(f"{head.path} is cut short or damaged in {error}") from error


# --- OpenEXR ---------------------------------------------------------------------------------------------------------

_OF_OPENEXR = (OSError, RuntimeError, ValueError, TypeError, SystemError)
"""What its binding raises; the last one for attributes that are no UTF-8."""


def _exr(path: Path) -> tuple[Any, dict[str, Any]]:
    import OpenEXR

    try:
        # The older of its two bindings, which alone reads some of the rows, ends the process where a name in the header
        # is no UTF-8; the newer one raises, once all of it is looked at.
        str(OpenEXR.File(str(path), header_only=True).header())
        opened = OpenEXR.InputFile(str(path))
        return opened, opened.header()
    except _OF_OPENEXR as error:
        raise ValueError(f"{path} is damaged, or of a kind of OpenEXR file that is no picture ({error})") from error


def _exr_size(path: Path) -> tuple[int, int]:
    header = _exr(path)[1]
    data, shown = (header[name] for name in ("dataWindow", "displayWindow"))
    size = data.max.x - data.min.x + 1, data.max.y - data.min.y + 1
    whole = shown.max.x - shown.min.x + 1, shown.max.y - shown.min.y + 1
    if (data.min.x, data.min.y, *size) != (shown.min.x, shown.min.y, *whole):
        raise ValueError(
            f"{path} holds {size[0]} x {size[1]} pixels of a picture of {whole[0]} x {whole[1]} (its data window is "
            "not its display window): save it whole"
        )
    _exr_channels(path, header)
    needed = _exr_block(header)
    if needed > LARGEST_BLOCK:
        raise ValueError(
            f"{path} is unpacked in blocks of {needed:,} bytes (its tiles are large, or it has many channels); at most "
            f"{LARGEST_BLOCK:,} are read: save it in rows, with R, G, B alone"
        )
    return size


def _exr_block(header: dict[str, Any]) -> int:
    """Bytes that OpenEXR unpacks at once, of all channels: a block of rows, or all tiles beside each other."""
    sizes = {"HALF": 2}
    pixel = sum(sizes.get(str(channel.type), 4) for channel in header["channels"].values())
    window = header["dataWindow"]
    width, tiles = window.max.x - window.min.x + 1, header.get("tiles")
    if tiles is not None:
        return pixel * max(width, tiles.xSize) * tiles.ySize
    return pixel * width * _EXR_ROWS


def _exr_channels(path: Path, header: dict[str, Any]) -> list[str]:
    """The names of red, green and blue; the one of a grey picture three times."""
    found: dict[str, dict[str, str]] = {}
    channels = header["channels"]
    for name in channels:
        layer, _, letter = str(name).rpartition(".")
        letter = _LETTERS.get(letter.lower(), letter.upper())
        found.setdefault(layer, {})[letter] = name
    layers = {layer: names for layer, names in found.items() if {"R", "G", "B"} <= set(names)}
    grey = {layer: names for layer, names in found.items() if set(names) in ({"Y"}, {"Y", "A"})}
    if not layers and len(grey) == 1:
        names = [next(iter(grey.values()))["Y"]] * 3
    elif "" in layers or len(layers) == 1:
        names = [layers.get("", next(iter(layers.values())))[letter] for letter in "RGB"]
    else:
        listed = ", ".join(list(channels)[:12])
        which = f"several layers of colours ({', '.join(list(layers)[:6])})" if layers else "no channels R, G and B"
        raise ValueError(f"{path} has {which}; its channels are {listed}: save it with R, G, B alone")
    for name in names:
        channel = channels[name]
        if (channel.xSampling, channel.ySampling) != (1, 1) or str(channel.type) == "UINT":
            raise ValueError(f"{path} has a channel {name} of whole numbers or fewer pixels: save it as half or float")
    return names


def _exr_bands(head: Head) -> Iterator[Band]:
    import Imath

    opened, header = _exr(head.path)
    names, top = _exr_channels(head.path, header), header["dataWindow"].min.y
    unique = list(dict.fromkeys(names))
    for row in range(0, head.height, BAND_ROWS):
        last = min(row + BAND_ROWS, head.height) - 1
        try:
            # Each name once: of the grey of a map that was asked for three times OpenEXR fills in one.
            read = opened.channels(unique, Imath.PixelType(Imath.PixelType.FLOAT), top + row, top + last)
        except _OF_OPENEXR as error:
            raise ValueError(f"{head.path} is cut short or damaged in rows {row} to {last} ({error})") from error
        planes = [np.frombuffer(values, np.float32).reshape(-1, head.width) for values in read]
        yield np.stack([planes[unique.index(name)] for name in names], axis=-1)


# --- display colours -------------------------------------------------------------------------------------------------


def _pillow_size(path: Path) -> tuple[int, int]:
    try:
        with _large_ones_too(), BoundedReader(path) as stream, Image.open(stream) as image:
            width, height = image.size
            is_png = image.format == "PNG"
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if is_png and width * height // 8 > _PNG_AT_MOST * path.stat().st_size:
        raise ValueError(f"{path} is cut short: {path.stat().st_size:,} bytes for {width} x {height} pixels")
    return width, height


def _display_bands(head: Head) -> Iterator[Band]:
    pixels = _sixteen_bits(head) if _is_sixteen_bits(head) else _eight_bits(head)
    white = np.float32(np.iinfo(pixels.dtype).max)
    for row in range(0, head.height, BAND_ROWS):
        srgb = pixels[row : row + BAND_ROWS].astype(np.float32) / white
        yield np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


@contextmanager
def _large_ones_too() -> Iterator[None]:
    """Pillow warns of pictures from 89 million pixels on; `read_head` has a limit of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _is_sixteen_bits(head: Head) -> bool:
    return head.kind == "PNG" and _beginning(head.path, 25)[24:] == b"\x10"


def _eight_bits(head: Head) -> np.ndarray:
    try:
        with _large_ones_too(), BoundedReader(head.path) as stream, Image.open(stream) as image:
            return np.asarray(image.convert("RGB"))
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise ValueError(f"{head.path} is cut short or damaged: {error}") from error


def _sixteen_bits(head: Head) -> np.ndarray:
    import cv2

    _eight_bits(head)  # OpenCV shows what it has of a file that is cut short
    pixels: Any = cv2.imread(str(head.path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape != (head.height, head.width, 3):
        raise ValueError(f"{head.path} is damaged: its 16-bit pixels cannot be read")
    return pixels[..., ::-1]
