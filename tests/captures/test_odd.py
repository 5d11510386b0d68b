"""Captures as other tools leave them: what is read means what was meant, or is refused."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fasttext2style.captures.checks import check_capture
from fasttext2style.captures.masks import masks_of
from fasttext2style.captures.photographs import read_photograph
from tests.captures.small import HEIGHT, WIDTH, noise, small_capture, write


def _png_of_16_bits(path: Path, values: np.ndarray) -> None:
    """[height, width, 1 to 4] grey, with alpha, colours, with alpha: Pillow does not write these."""
    height, width, channels = values.shape

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_png_of_16_bits_looks_as_that_of_8(tmp_path, mode):
    picture = noise(4).convert("RGBA")
    picture.putalpha(noise(5).convert("L"))
    values = np.asarray(picture.convert(mode)).reshape(HEIGHT, WIDTH, -1)
    _png_of_16_bits(tmp_path / "deep.png", values.astype(np.uint16) * 257)
    picture.convert(mode).save(tmp_path / "flat.png")
    deep, flat = (
        read_photograph(tmp_path / name, (WIDTH, HEIGHT), (WIDTH, HEIGHT)) for name in ("deep.png", "flat.png")
    )
    assert deep.shape == flat.shape and (deep == flat).all()


@pytest.mark.parametrize("ending, mode", [(".tiff", "RGB"), (".jpg", "CMYK"), (".webp", "RGB"), (".png", "RGB")])
def test_a_picture_that_lies_on_its_side_is_turned_where_its_size_says_so(tmp_path, ending, mode):
    """Dark left half, bright right half, stored turned by 90 degrees with the tag that turns it back."""
    meta = small_capture(tmp_path)
    shown = Image.new("RGB", (WIDTH, HEIGHT))
    shown.paste((250, 250, 250), (WIDTH // 2, 0, WIDTH, HEIGHT))
    exif = Image.Exif()
    exif[0x0112] = 6
    meta["frames"][0]["file_path"] = f"images/turned{ending}"
    path = tmp_path / meta["frames"][0]["file_path"]
    shown.transpose(Image.Transpose.ROTATE_90).convert(mode).save(path, exif=exif)
    write(tmp_path, meta)
    check_capture(tmp_path)
    pixels = read_photograph(path, (WIDTH, HEIGHT), (WIDTH, HEIGHT))
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels[:, : WIDTH // 2 - 2].mean() < 20 and pixels[:, WIDTH // 2 + 2 :].mean() > 230


def test_a_number_that_stands_twice_in_transforms_json_is_refused(tmp_path):
    meta = small_capture(tmp_path)
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps(meta)[:-1] + ', "fl_x": 9999}')
    with pytest.raises(ValueError, match=r"'fl_x' stands in it twice, as 20\.0 and as 9999\. Correct it"):
        check_capture(tmp_path)
    path.write_text(json.dumps(meta)[:-1] + ', "fl_x": 20.0, "note": NaN, "note": NaN}')
    check_capture(tmp_path)


@pytest.mark.parametrize("place", ["a folder", "a device or a pipe"])
def test_what_lies_in_a_photographs_place_is_said(tmp_path, place):
    small_capture(tmp_path)
    path = tmp_path / "images" / "01.png"
    path.unlink()
    path.mkdir() if place == "a folder" else os.mkfifo(path)
    with pytest.raises(ValueError, match=rf"01\.png \((no file, but )?{place}\)"):
        check_capture(tmp_path)


def test_cut_outs_may_be_their_own_masks(tmp_path):
    meta = small_capture(tmp_path)
    paths = [tmp_path / frame["file_path"] for frame in meta["frames"]]
    for path in paths:
        noise().convert("RGBA").save(path)
    assert masks_of(tmp_path / "images", paths) == paths


def test_an_archive_of_masks_is_no_folder(tmp_path):
    meta = small_capture(tmp_path)
    (tmp_path / "masks.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"masks\.zip are a file: give the folder"):
        masks_of(tmp_path / "masks.zip", [tmp_path / frame["file_path"] for frame in meta["frames"]])
