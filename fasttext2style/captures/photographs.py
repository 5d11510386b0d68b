"""Photographs: what their headers say, their pixels in 8 bits, and how large they are trained on.

A photograph is turned by its EXIF tag only where transforms.json says so by its sizes: nerfstudio never turns one, and
calibrations are made of what lies in the file as often as of what a viewer shows.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fasttext2style.scene.files.starts import not_what_it_is_called, read_start
from fasttext2style.trust.sizes import BoundedReader, check_is_file

LARGEST_PIXELS = 160 * 10**6
"""Of a photograph or mask; the largest cameras have 151 million (Phase One IQ4: 14204 x 10652)."""
ORIENTATION_TAG = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what shows the picture upright. From 5 on width and height change places."""
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
MODES = {
    **dict.fromkeys(("1", "L", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", *SIXTEEN_BITS), "RGB"),
    **dict.fromkeys(("LA", "La", "PA", "RGBA", "RGBa"), "RGBA"),
    "P": "RGB",
}
"""Pillow's mode -> the mode that it is read in; RGBA, too, where a header names a transparent colour."""
UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error)
"""What Pillow's readers raise for damaged files (UnidentifiedImageError is an OSError)."""
FOREIGN = {
    **dict.fromkeys((".heic", ".heif", ".jxl"), "save it as JPEG"),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"), "develop it into JPEG or PNG"),
    **dict.fromkeys((".exr", ".hdr"), "tone-map it into PNG"),
    **dict.fromkeys((".mp4", ".mov", ".avi"), "cut it into pictures with `ns-process-data video`"),
}
"""Endings of what is none of Pillow's formats -> what to do."""
HEIC = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
"""Brands of its container."""


@dataclass(frozen=True)
class Head:
    """What the header of a picture says."""

    path: Path
    width: int
    """As it is stored."""
    height: int
    mode: str
    orientation: int = 1
    """EXIF's, 1 to 8; 1 is upright."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.width, self.height

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as a viewer shows it."""
        return (self.height, self.width) if self.orientation >= 5 else self.size


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture of a capture, of which nothing but the header was read.

    Raises:
        ValueError: more than `LARGEST_PIXELS`, or a pipe; and `UNREADABLE`.
    """
    too_many = f"it has more than {LARGEST_PIXELS:,} pixels, which are read at most: scale it down"
    check_is_file(path)
    with BoundedReader(path) as stream:
        try:
            image = Image.open(stream)
        except Image.DecompressionBombError:  # Pillow's own limit, somewhat higher
            raise ValueError(too_many) from None
        with image:
            if image.width * image.height > LARGEST_PIXELS:
                raise ValueError(too_many)
            yield image


def read_head(path: Path) -> Head:
    """Open a picture, and read nothing but its header.

    Raises:
        ValueError: it cannot be opened, or its pixels have no colours that could be trained on.
    """
    try:
        with opened(path) as image:
            head = _head(path, image)
    except UNREADABLE as error:
        raise ValueError(f"{path} ({advice(path, error)})") from error
    if head.mode not in MODES:
        raise ValueError(
            f"{path} (mode {head.mode}: nobody knows which of its values is white; save it with 8 or 16 bits)"
        )
    return head


def read_heads(paths: Iterable[Path]) -> tuple[list[Head], list[str]]:
    """Heads of those pictures that have one, and why the others have none; in order."""
    heads, broken = [], []
    with pillow_is_quiet(), ThreadPoolExecutor(max_workers=4) as pool:
        for found in pool.map(_head_or_why, paths):
            (heads if isinstance(found, Head) else broken).append(found)
    return heads, broken


def why_pixels_are_unreadable(path: Path) -> str | None:
    """None for a picture that can be decoded; JPEGs at their smallest scale, which takes about a millisecond."""
    try:
        with opened(path) as image:
            image.draft("RGB", (64, 64))
            image.load()
    except UNREADABLE as error:
        return f"{path} ({advice(path, error)})"
    return None


def scaled_size(width: int, height: int, scale: float = 1.0, longest: int = 0) -> tuple[int, int]:
    """Width and height in pixels that a picture is trained on: the only place where they are reckoned.

    Sides are rounded down; 500 x 333 with at most 256 is 256 x 170.

    Args:
        scale: asked for.
        longest: side in pixels; what is still larger after `scale` is scaled down to it. 0 for no limit.
    """
    if longest:
        scale = min(scale, longest / max(width, height))
    # A side that is scaled to a whole number must not lose a pixel to rounding.
    return max(1, int(width * scale + 1e-6)), max(1, int(height * scale + 1e-6))


def turned_as(head: Head, size: tuple[int, int]) -> int | None:
    """The EXIF orientation by which a picture becomes `size`: 1 where it has it as it is stored, None if nothing does.

    Pictures whose tag does not change their size are taken as they are stored, as nerfstudio takes them.
    """
    if head.size == size:
        return 1
    return head.orientation if head.upright == size else None


def read_photograph(
    path: Path, size: tuple[int, int], scaled: tuple[int, int]
) -> UInt8[np.ndarray, "height width channels"]:
    """The pixels of a photograph: 3 channels, or 4 if some of it may be transparent.

    Args:
        size: width and height that its camera has, by which it is turned (see `turned_as`).
        scaled: width and height to scale it to.

    Raises:
        ValueError: it cannot be read, or has another size.
    """
    try:
        with opened(path) as image:
            head = _head(path, image)
            pixels = in_colors(image)
    except UNREADABLE as error:
        raise ValueError(f"The photograph {path} cannot be read: {advice(path, error)}.") from error
    turn = turned_as(head, size)
    if turn is None:
        raise ValueError(wrong_size(head, size))
    if turn in TURNS:
        pixels = pixels.transpose(TURNS[turn])
    if pixels.size != scaled:
        pixels = pixels.resize(scaled, resample=Image.Resampling.BILINEAR)
    return np.array(pixels)


def in_colors(image: Image.Image) -> Image.Image:
    """A picture of any mode of `MODES` in RGB, or in RGBA where some of it may be transparent.

    16 bits are rounded to 8.
    """
    if image.mode in SIXTEEN_BITS:
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    transparent = "transparency" in image.info and image.mode in ("1", "L", "P", "RGB")
    if image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    return in_mode(image, "RGBA" if transparent else MODES[image.mode])


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """`Image.convert` copies what has the mode already, too: half a gigabyte of the largest photographs."""
    image.load()
    return image if image.mode == mode else image.convert(mode)


def on_background(
    pixels: UInt8[np.ndarray, "height width channels"], color: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> UInt8[np.ndarray, "height width 3"]:
    """What training sees of a picture before a background of this colour, in [0, 1]."""
    if pixels.shape[-1] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.float32) / 255
    mixed = pixels[..., :3] * alpha + np.asarray(color, np.float32) * 255 * (1 - alpha)
    return np.round(mixed).astype(np.uint8)


def wrong_size(head: Head, size: tuple[int, int]) -> str:
    """What is to be said of a photograph that has not the size that transforms.json says."""
    stored, said = _pixels(head.size), _pixels(size)
    if head.orientation >= 5:
        stored += f" ({_pixels(head.upright)} as its EXIF orientation turns it)"
    text = f"The photograph {head.path} has {stored} pixels, but transforms.json says {said}"
    for width, height in dict.fromkeys((head.size, head.upright)):
        if abs(width * size[1] - height * size[0]) <= max(*size, width, height) / 2:
            return (
                f"{text}: it was resized after that was written. Put back the one of {said}, or multiply w, h, cx, cy, "
                f"fl_x and fl_y in transforms.json by {width / size[0]:.6g}."
            )
    return (
        f"{text}: it was cropped, turned or exchanged after that was written. Put back the one of {said}, or make "
        "transforms.json again from the photographs as they are."
    )


@contextmanager
def pillow_is_quiet() -> Iterator[None]:
    """Pillow warns of nothing meanwhile: a capture is one's own, so large photographs are no attack, and damaged tags
    say nothing. Filters belong to all threads, so this stands around them and not in them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def orientation(image: Image.Image) -> int:
    """EXIF's, 1 to 8, of an opened picture; 1, upright, where it says nothing that can be read."""
    # Pillow turns TIFFs itself, and would decode a whole PNG to look for a tag behind its pixels.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except UNREADABLE:  # a damaged tag says nothing
        return 1
    return orientation if orientation in TURNS else 1


def _head(path: Path, image: Image.Image) -> Head:
    width, height = image.size
    return Head(path, width, height, image.mode, orientation(image))


def _head_or_why(path: Path) -> Head | str:
    try:
        return read_head(path)
    except ValueError as error:
        return str(error)


def advice(path: Path, error: BaseException, start: bytes | None = None) -> str:
    """Why a picture cannot be read, and what to do about it where that is known.

    Args:
        start: its first bytes, where it is no file that could be asked.
    """
    if isinstance(error, PermissionError):
        return "you may not read it: chmod u+r"
    what_to_do = FOREIGN.get(path.suffix.lower())
    if not isinstance(error, Image.UnidentifiedImageError):
        reason = str(error) or type(error).__name__
        return f"{reason}; {what_to_do}" if what_to_do else reason
    start = read_start(path) if start is None else start
    if start[4:8] == b"ftyp" and start[8:12] in HEIC:  # also where a phone calls it .jpg
        return f"a HEIC; {FOREIGN['.heic']}"
    unread = f"no picture that can be read; {what_to_do}" if what_to_do else "no picture that can be read"
    return not_what_it_is_called(start) or unread


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
