"""Panoramas as files: linear radiance, float32 [height, width, 3], whatever the format; never silently 8 bits."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps import radiance
from fasttext2style.envmaps.formats import BAND_ROWS, SUFFIXES, Band, Head, read_bands, read_head
from fasttext2style.envmaps.resize import shrunk
from fasttext2style.envmaps.tones import to_display
from fasttext2style.scene.files.atomic import atomic_write

BRIGHTEST_HALF = 65504.0
"""What is brighter overflows in 16-bit floats, where infinite radiance comes from."""


def read_panorama(
    path: Path | str, at_most: int | None = None, repair: bool = False
) -> Float[Tensor, "height width 3"]:
    """A .hdr, .exr, .png or .jpg of 2:1, as it is stored; of PNG and JPEG the light that their sRGB colours mean.

    Args:
        at_most: rows; a larger panorama comes at this size, each pixel the mean over its solid angle. .hdr and .exr are
            then read in bands; PNG and JPEG are decoded whole, in 3 bytes a pixel, or 6 of 16 bits.
        repair: take negative radiance and what is no number for 0 and infinite radiance for 65504, the brightest half.

    Raises:
        ValueError: missing, damaged, of another kind, not 2:1, larger than 16k; negative, infinite or no number, unless
            `repair`.
    """
    if at_most is not None and at_most < 1:
        raise ValueError(f"A panorama has at least one row, got at_most={at_most}")
    head = read_head(Path(path))
    bands = checked_bands(head, repair)
    if at_most is not None and head.height > at_most:
        return shrunk(bands, head.height, head.width, at_most)
    panorama, row = torch.empty(head.height, head.width, 3), 0
    for band in bands:
        panorama[row : row + len(band)] = band
        row += len(band)
    return panorama


def checked_bands(head: Head, repair: bool = False) -> Iterator[Float[Tensor, "_ width 3"]]:
    """The rows of a panorama from the top, some at a time; `repair` and errors as of `read_panorama`."""
    row = 0
    for values in read_bands(head):
        band = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        if repair:
            band = torch.nan_to_num(band, nan=0.0, posinf=BRIGHTEST_HALF).clamp_min(0)
        wrong = _wrong(band, row)
        if wrong:
            raise ValueError(
                f"{head.path}: {wrong}. Save it without, or have it repaired (repair=True: 0 for negative and no "
                f"number, {BRIGHTEST_HALF:.0f} for infinite)"
            )
        yield band
        row += len(band)


def write_panorama(path: Path | str, panorama: Float[Tensor, "height width 3"]) -> None:
    """Write it by its ending, whole or not at all.

    .exr keeps every bit (32-bit floats, ZIP), .hdr about 8 bits a colour at any brightness. .png (16 bits) and .jpg
    hold display colours: all light above 1 is cut there.

    Raises:
        ValueError: another ending, not 2:1, values that are no radiance, or too bright for .hdr (1.7e38).
        OSError: it cannot be written; what was there is still there.
    """
    if panorama.ndim != 3 or panorama.shape[2] != 3 or panorama.shape[1] != 2 * panorama.shape[0] or not len(panorama):
        raise ValueError(f"A panorama is [height, 2 height, 3], got {list(panorama.shape)}; {path} was not written")
    write_bands(path, len(panorama), panorama.detach().split(BAND_ROWS))


def write_bands(path: Path | str, height: int, bands: Iterable[Float[Tensor, "_ width 3"]]) -> None:
    """As `write_panorama`, of a panorama that comes in bands of rows from the top, and is nowhere held as a whole: .hdr
    and .exr take some megabytes, .png 6 bytes a pixel, .jpg 3, and the file.

    What raises while a band is made leaves no file, and the old one as it was.
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ValueError(
            f"{path} cannot be written: the ending says the format, and these are known: {', '.join(SUFFIXES)}"
        )
    with atomic_write(path) as stream:
        write(stream, height, _ready(path, height, bands))


def _ready(path: Path, height: int, bands: Iterable[Tensor]) -> Iterator[Band]:
    """Bands as they are written, none of them with values that no file could hold."""
    row = 0
    for band in bands:
        band = band.to("cpu", torch.float32)
        wrong = _wrong(band, row)
        if wrong is None and path.suffix.lower() == ".hdr" and float(band.max()) >= radiance.BRIGHTEST:
            wrong = "Radiance files hold light up to 1.7e38; write an .exr"
        if wrong:
            raise ValueError(f"{path} was not written: {wrong}")
        yield band.numpy()
        row += len(band)
    if row != height:
        raise ValueError(f"{path} was not written: expected {height} rows, got {row}")


def _wrong(light: Tensor, first_row: int = 0) -> str | None:
    """What is no radiance in it, in words, and where it is met first."""
    is_wrong = ~(torch.isfinite(light) & (light >= 0)).all(dim=-1)
    if not bool(is_wrong.any()):
        return None
    row, column = is_wrong.nonzero()[0].tolist()
    values = ", ".join(f"{value:g}" for value in light[row, column].tolist())
    return f"radiance should be finite and not negative, row {first_row + row}, column {column} has ({values})"


# --- formats ---------------------------------------------------------------------------------------------------------


def _write_radiance(stream: IO[bytes], height: int, bands: Iterator[Band]) -> None:
    stream.write(radiance.header(height, 2 * height))
    for band in bands:
        stream.write(radiance.packed(radiance.to_rgbe(band)))


def _write_exr(stream: IO[bytes], height: int, bands: Iterator[Band]) -> None:
    import Imath
    import OpenEXR

    header = OpenEXR.Header(2 * height, height)
    header["channels"] = {name: Imath.Channel(Imath.PixelType(Imath.PixelType.FLOAT)) for name in "RGB"}
    header["compression"] = Imath.Compression(Imath.Compression.ZIP_COMPRESSION)
    try:
        written = OpenEXR.OutputFile(stream.name, header)
        for band in bands:
            written.writePixels({name: band[..., place].tobytes() for place, name in enumerate("RGB")}, len(band))
        written.close()
    except OSError as error:
        # It names the hidden file; `atomic_write` names the one that is meant.
        raise OSError(errno.EIO, str(error).rpartition('". ')[2]) from error


def _write_picture(suffix: str, dtype: type) -> Callable[[IO[bytes], int, Iterator[Band]], None]:
    """Display colours, which OpenCV packs as a whole."""

    def write(stream: IO[bytes], height: int, bands: Iterator[Band]) -> None:
        import cv2

        pixels, row, white = np.empty((height, 2 * height, 3), dtype), 0, np.iinfo(dtype).max
        for band in bands:
            shown = (to_display(torch.from_numpy(band)) * white).round().numpy()
            pixels[row : row + len(band)] = shown[..., ::-1]
            row += len(band)
        try:
            written, content = cv2.imencode(suffix, pixels)
        except cv2.error as error:
            raise OSError(
                errno.EIO, f"OpenCV could not pack it ({error.err}); is there room for temporary files?"
            ) from error
        if not written:
            raise OSError(errno.EIO, "OpenCV could not pack it; is there room for temporary files?")
        stream.write(content.tobytes())

    return write


_WRITERS: dict[str, Callable[[IO[bytes], int, Iterator[Band]], Any]] = {
    ".hdr": _write_radiance,
    ".exr": _write_exr,
    ".png": _write_picture(".png", np.uint16),
    ".jpg": _write_picture(".jpg", np.uint8),
    ".jpeg": _write_picture(".jpg", np.uint8),
}
