"""Panoramas as files: linear radiance, float32 [height, width, 3], whatever the format; never silently 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.formats import SUFFIXES, Head, read_bands, read_head
from fasttext2style.envmaps.resize import shrunk
from fasttext2style.envmaps.tones import to_display
from fasttext2style.scene.files.atomic import atomic_write

BRIGHTEST_HALF = 65504.0
"""What is brighter overflows in 16-bit floats, where infinite radiance comes from."""
_BRIGHTEST_RGBE = 2.0**127


def read_panorama(
    path: Path | str, at_most: int | None = None, repair: bool = False
) -> Float[Tensor, "height width 3"]:
    """A .hdr, .exr, .png or .jpg of 2:1, as it is stored; of PNG and JPEG the light that their sRGB colours mean.

    Args:
        at_most: rows; a larger panorama comes at this size, each pixel the mean over its solid angle. An .exr is then
            read in bands; PNG and JPEG are decoded whole, in 3 or 6 bytes a pixel, and .hdr in about 22, which OpenCV
            takes: 3 GB of 16k.
        repair: take negative radiance and what is no number for 0 and infinite radiance for 65504, the brightest half.

    Raises:
        ValueError: missing, damaged, of another kind, not 2:1, larger than 16k; negative, infinite or no number, unless
            `repair`.
    """
    if at_most is not None and at_most < 1:
        raise ValueError(f"A panorama has at least one row, got at_most={at_most}")
    head = read_head(Path(path))
    bands = _checked(head, repair)
    if at_most is not None and head.height > at_most:
        return shrunk(bands, head.height, head.width, at_most)
    panorama, row = torch.empty(head.height, head.width, 3), 0
    for band in bands:
        panorama[row : row + len(band)] = band
        row += len(band)
    return panorama


def write_panorama(path: Path | str, panorama: Float[Tensor, "height width 3"]) -> None:
    """Write it by its ending, whole or not at all.

    .exr keeps every bit (32-bit floats, ZIP), .hdr about 8 bits a colour at any brightness. .png (16 bits) and .jpg
    hold display colours: all light above 1 is cut there.

    Raises:
        ValueError: another ending, not 2:1, values that are no radiance, or too bright for .hdr (1.7e38).
        OSError: it cannot be written; what was there is still there.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _ENCODERS:
        raise ValueError(
            f"{path} cannot be written: the ending says the format, and these are known: {', '.join(SUFFIXES)}"
        )
    if panorama.ndim != 3 or panorama.shape[2] != 3 or panorama.shape[1] != 2 * panorama.shape[0] or not len(panorama):
        raise ValueError(f"A panorama is [height, 2 height, 3], got {list(panorama.shape)}; {path} was not written")
    panorama = panorama.detach().to("cpu", torch.float32)
    wrong = _wrong(panorama)
    if wrong:
        raise ValueError(f"{path} was not written: {wrong}")
    if suffix == ".exr":
        _write_exr(path, panorama.numpy())
        return
    content = _ENCODERS[suffix](panorama)
    with atomic_write(path) as stream:
        stream.write(content)


def _checked(head: Head, repair: bool) -> Iterator[Tensor]:
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


def _wrong(radiance: Tensor, first_row: int = 0) -> str | None:
    """What is no radiance in it, in words, and where it is met first."""
    is_wrong = ~(torch.isfinite(radiance) & (radiance >= 0)).all(dim=-1)
    if not bool(is_wrong.any()):
        return None
    row, column = is_wrong.nonzero()[0].tolist()
    values = ", ".join(f"{value:g}" for value in radiance[row, column].tolist())
    return f"radiance should be finite and not negative, row {first_row + row}, column {column} has ({values})"


def _radiance(panorama: Tensor) -> bytes:
    if float(panorama.max()) >= _BRIGHTEST_RGBE:
        raise ValueError("Radiance files hold light up to 1.7e38; write an .exr")
    return _by_opencv(".hdr", panorama.numpy())


def _png(panorama: Tensor) -> bytes:
    return _by_opencv(".png", (to_display(panorama) * 65535).round().numpy().astype(np.uint16))


def _jpeg(panorama: Tensor) -> bytes:
    return _by_opencv(".jpg", (to_display(panorama) * 255).round().numpy().astype(np.uint8))


def _by_opencv(suffix: str, rgb: np.ndarray) -> bytes:
    import cv2

    try:
        written, content = cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]))
    except cv2.error as error:
        raise OSError(
            f"OpenCV could not make a {suffix} file ({error.err}); is the folder of temporary files full?"
        ) from error
    if not written:
        raise OSError(f"OpenCV could not make a {suffix} file; is the folder of temporary files full?")
    return content.tobytes()


def _write_exr(path: Path, rgb: np.ndarray) -> None:
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with atomic_write(path) as stream:
        try:
            OpenEXR.File(header, {"RGB": np.ascontiguousarray(rgb)}).write(stream.name)
        except RuntimeError as error:
            raise OSError(f"{path} could not be written ({error})") from error


_ENCODERS: dict[str, Callable[[Tensor], Any]] = {
    ".hdr": _radiance,
    ".exr": lambda panorama: panorama,
    ".png": _png,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
}
