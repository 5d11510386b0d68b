"""Says what is wrong with a capture before anything is computed from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fasttext2style.captures.photographs import pillow_is_quiet, why_pixels_are_unreadable
from fasttext2style.captures.plain import PlainCapture, plain_capture


def check_capture(data: Path, read_pixels: bool = True, downscale_factor: float | int | None = None) -> PlainCapture:
    """Check a capture in nerfstudio's format: `transforms.json`, its frames, and every photograph and mask.

    Args:
        data: the folder with `transforms.json`, or such a file.
        read_pixels: decode every photograph, too (about 1 ms each by the JPEG decoder's smallest scale).
        downscale_factor: see `plain_capture`.

    Raises:
        ValueError: what is missing or broken, and what to do.
    """
    capture = plain_capture(data, downscale_factor)
    if read_pixels:
        paths = capture.photographs
        with pillow_is_quiet(), ThreadPoolExecutor(max_workers=4) as pool:
            broken = [why for why in pool.map(why_pixels_are_unreadable, paths) if why]
        if broken:
            raise ValueError(
                f"{len(broken)} of {len(paths)} photographs cannot be read, first {broken[0]}. "
                "Replace them, or take their frames out of transforms.json."
            )
    return capture


@dataclass(frozen=True)
class CaptureLook:
    """What a capture holds, as far as names and heads of files tell."""

    photographs: tuple[Path, ...]
    width: int
    """Of the largest photograph, in pixels."""
    height: int
    bytes: int
    """Of all photographs."""


def look_at_capture(data: Path) -> CaptureLook:
    """Check a capture, and read the heads of its photographs.

    Raises:
        ValueError: see `check_capture`.
    """
    heads = check_capture(data, read_pixels=False).heads
    width, height = max((head.size for head in heads), key=lambda size: size[0] * size[1])
    return CaptureLook(
        tuple(head.path for head in heads), width, height, sum(head.path.stat().st_size for head in heads)
    )
