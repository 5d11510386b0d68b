"""Pictures, contact sheet, video and report.json of a finished edit. Images are [views, height, width, 3] in [0, 1].

Every file is written whole or not at all; a folder of an earlier run is never touched.
"""

from __future__ import annotations

import io
import json
import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fasttext2style.scene.cameras import evenly_spread
from fasttext2style.scene.files.atomic import atomic_write


def to_uint8(images: Float[Tensor, "*batch height width 3"]) -> UInt8[np.ndarray, "*batch height width 3"]:
    """Rounded to 8 bits."""
    return (images.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def write_png(path: Path, image: UInt8[np.ndarray, "height width 3"]) -> None:
    """Write one picture, atomically."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    with atomic_write(path) as stream:
        stream.write(buffer.getvalue())


def write_pictures(folder: Path, images: Float[Tensor, "views height width 3"]) -> list[Path]:
    """One PNG per view: folder/view_00.png ..."""
    paths = [folder / f"view_{view:02d}.png" for view in range(len(images))]
    for path, image in zip(paths, to_uint8(images)):
        write_png(path, image)
    return paths


def contact_sheet(
    before: Float[Tensor, "views height width 3"],
    after: Float[Tensor, "_ _ _ 3"],
    title: str,
    columns: int = 4,
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Up to `columns` views: the upper row before, the lower row after, the sentence above."""
    if before.shape != after.shape:
        raise ValueError(f"Before and after must be the same views, got {list(before.shape)} and {list(after.shape)}")
    return labelled_rows({f'"{title}": before': before, "after": after}, columns)


def write_before_after(folder: Path, title: str, before: Tensor, after: Tensor) -> None:
    """Pictures of views before and after an edit, and a sheet of them."""
    write_pictures(folder / "before", before)
    write_pictures(folder / "after", after)
    write_png(folder / "contact_sheet.png", contact_sheet(before, after, title=title))


def labelled_rows(
    rows: Mapping[str, Float[Tensor, "_ height width 3"]], columns: int = 4
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Rows of pictures of one size under their labels, each showing up to `columns` of its views, evenly chosen."""
    font = ImageFont.load_default(size=16)
    strips = [
        np.concatenate(list(to_uint8(images[evenly_spread(len(images), columns)])), axis=1) for images in rows.values()
    ]
    width = max(strip.shape[1] for strip in strips)
    parts = []
    for label, strip in zip(rows, strips):
        band = Image.new("RGB", (width, 26), "white")
        ImageDraw.Draw(band).text((6, 4), label, fill="black", font=font)
        blank = np.full((len(strip), width - strip.shape[1], 3), 255, np.uint8)
        parts += [np.asarray(band), np.concatenate([strip, blank], axis=1)]
    return np.concatenate(parts, axis=0)


def write_video(path: Path, frames: UInt8[np.ndarray, "frames height width 3"], frames_per_second: int = 24) -> None:
    """H.264 in an .mp4 that every browser plays, by PyAV (no ffmpeg program is needed); sizes are cut to even ones."""
    import av

    height, width = (size - size % 2 for size in frames.shape[1:3])
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=frames_per_second)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "20"}
        for frame in frames[:, :height, :width]:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with atomic_write(path) as out:
        out.write(buffer.getvalue())


def write_report(path: Path, report: dict[str, Any]) -> None:
    """JSON, with the versions of what was used added. JSON knows no NaN (written null) and no infinity ("inf")."""
    text = json.dumps(_json_numbers(report | {"versions": versions()}), indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as stream:
        # Names of files may hold bytes that are no UTF-8; \udc80 is how both Python and JSON write such a one.
        stream.write((text + "\n").encode("utf8", "backslashreplace"))


def versions() -> dict[str, str]:
    """Of Python, ourselves, and the libraries that decide what a run computes."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("fasttext2style", "nerfstudio", "gsplat", "torch", "numba", "open_clip_torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _json_numbers(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {key: _json_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_numbers(item) for item in value]
    return value
