"""A picture that says how an object should look: from a file of any kind, upright, in 8 bits, small enough to be kept.

Anybody may have made the file, and it may have come through the page of a session: its size is compared with a limit
before its pixels are read, and what is kept of it is pixels alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from fasttext2style.captures.photographs import (
    MODES,
    TURNS,
    UNREADABLE,
    advice,
    in_colors,
    orientation,
    pillow_is_quiet,
)
from fasttext2style.trust.sizes import BoundedReader
from fasttext2style.trust.typed import expanded

LARGEST_PIXELS = 50 * 10**6
"""Of a picture that is read; what is larger is to be scaled down by whoever has it."""
LARGEST_FILE = 200 * 10**6
"""Bytes."""
KEPT_SIDE = 512
"""Longer side in pixels of what is kept: features look at less."""
THUMBNAIL_SIDE = 96
LONGEST_NAME = 80


@dataclass(frozen=True, eq=False)
class StylePicture:
    """A picture, ready to be compared with. Each is itself: two of the same pixels are two."""

    name: str
    """Of its file, without the folder."""
    pixels: UInt8[np.ndarray, "height width 4"]
    """sRGB and alpha, the longer side at most `KEPT_SIDE`."""

    @property
    def tensor(self) -> Float[Tensor, "height width 4"]:
        """In [0, 1]."""
        return torch.from_numpy(self.pixels).float() / 255

    @property
    def png(self) -> bytes:
        """As it is kept: read again, it is the same to the bit."""
        opaque = bool((self.pixels[..., 3] == 255).all())
        return _encoded(Image.fromarray(self.pixels[..., :3] if opaque else self.pixels))

    @property
    def thumbnail(self) -> bytes:
        """A PNG whose longer side is at most `THUMBNAIL_SIDE`."""
        small = Image.fromarray(self.pixels)
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        return _encoded(small)


def wish_of(sentence: str, picture: str = "") -> str:
    """What one calls a style by a sentence, by the picture of this file name, or by both; empty for neither."""
    return ", and ".join(filter(None, (sentence.strip(), picture and f"the picture {Path(picture).stem}")))


def read_style_picture(path: Path) -> StylePicture:
    """The picture in a file.

    Raises:
        ValueError: there is none, it is too large, or nothing in it can be seen.
    """
    path = expanded(path)
    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ValueError(f"The style picture {path} {what}; expected a file such as gold.jpg or painting.png.")
    if not path.is_file():
        raise ValueError(f"The style picture {path} is no file, but a device or a pipe.")
    try:
        with BoundedReader(path) as stream:
            return _read(stream, path, path.stat().st_size)
    except OSError as error:
        raise ValueError(f"The style picture {path} cannot be read: {error.strerror or error}.") from error


def style_picture_of(content: bytes, name: str) -> StylePicture:
    """The picture in the bytes of a file that came from elsewhere; `name` is what it was called there.

    Raises:
        ValueError: as `read_style_picture`.
    """
    # A name is a name: no folders, neither of this system nor of another.
    name = name.replace("\\", "/").rpartition("/")[2][-LONGEST_NAME:] or "picture"
    return _read(io.BytesIO(content), Path(name), len(content))


def _read(stream: io.BufferedReader | io.BytesIO, path: Path, size: int) -> StylePicture:
    if size > LARGEST_FILE:
        raise ValueError(f"The style picture {path} has {size:,} bytes; at most {LARGEST_FILE:,} are read.")
    try:
        with pillow_is_quiet(), Image.open(stream) as image:
            refused = _why_not(path, image)
            pixels = None if refused else _pixels(image)
    except Image.DecompressionBombError:
        raise ValueError(_too_large(path)) from None
    except UNREADABLE as error:
        stream.seek(0)
        raise ValueError(f"The style picture {path} cannot be read: {advice(path, error, stream.read(64))}.") from error
    if pixels is None:
        raise ValueError(refused)
    if not pixels[..., 3].any():
        raise ValueError(f"The style picture {path} is wholly transparent: there is nothing to be seen in it.")
    return StylePicture(path.name, pixels)


def _pixels(image: Image.Image) -> UInt8[np.ndarray, "height width 4"]:
    turn = orientation(image)
    image.draft(None, (2 * KEPT_SIDE, 2 * KEPT_SIDE))  # of a JPEG, no more than is needed is decoded
    colors = in_colors(image).convert("RGBA")
    scale = KEPT_SIDE / max(colors.size)
    if scale < 1:
        width, height = (max(1, round(scale * side)) for side in colors.size)
        colors = colors.resize((width, height), Image.Resampling.BOX)
    return np.array(colors.transpose(TURNS[turn]) if turn in TURNS else colors)


def _why_not(path: Path, image: Image.Image) -> str:
    """Why a picture is refused by what its header says; empty if it is not."""
    if image.width * image.height > LARGEST_PIXELS:
        return _too_large(path)
    if image.mode not in MODES:
        return (
            f"The style picture {path} has mode {image.mode}: nobody knows which of its values is white. Save it with "
            "8 or 16 bits."
        )
    return ""


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _too_large(path: Path) -> str:
    return f"The style picture {path} has more than {LARGEST_PIXELS:,} pixels: scale it down."
