"""Whatever stands in a transforms.json and in the headers of photographs: a capture is accepted whole, or refused in a
sentence. Headers alone are read."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fasttext2style.captures.checks import check_capture
from tests.captures.small import noise, small_capture, write

KEYS = [
    *["camera_model", "w", "h", "fl_x", "fl_y", "cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2", "distortion_params"],
    *["camera_angle_x", "camera_angle_y", "file_path", "mask_path", "depth_file_path", "transform_matrix", "frames"],
    *["train_filenames", "val_filenames", "test_filenames", "applied_transform", "applied_scale", "ply_file_path"],
    *["orientation_override", "aabb_scale", "fisheye_crop_radius"],
    *["is_fisheye", "latlong", "ftheta_p0", "x_fov", "y_fov"],
]
NUMBERS = [0, 1, -1, 0.5, 8, 12, 16, 20.0, 24, 1e-30, 1e30, 1e300, math.nan, math.inf, 10**400, 2**31, True]
WORDS = [
    *["", " ", "images/00.png", "images/gone.png", "images", "..", "/", "\0", "x" * 5000, "20", "nan", "up", "none"],
    *["OPENCV", "opencv fisheye", "EQUIRECTANGULAR", "images\\01.png", "images/01", "[/b]", "\ud800", "a\nb"],
    *[
        "C:\\a\\images\\02.png",
        "/there/images/03.png",
        "file:///a/01.png",
        "IMAGES/04.JPG",
        "%2e%2e/00.png",
        "a/" * 2500,
    ],
]
MATRIX = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3.0], [0, 0, 0, 1]]
values = st.recursive(
    st.none() | st.sampled_from(NUMBERS) | st.sampled_from(WORDS) | st.just(MATRIX) | st.just(MATRIX[:3]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=6,
)
changes = st.lists(
    st.tuples(st.integers(-1, 5), st.sampled_from(KEYS), st.just("drop") | values), min_size=1, max_size=4
)
"""Of the capture (-1) or of a frame: a key and what it holds from now on; "drop" takes it out."""


def _is_accepted_whole_or_refused_in_a_sentence(folder: Path) -> bool:
    try:
        capture = check_capture(folder, read_pixels=False)
    except ValueError as error:
        message = str(error)
        assert type(error) is ValueError and str(folder) in message and "\n" not in message and len(message) < 1500
        return False
    for frame, head in zip(capture.meta["frames"], capture.heads):
        numbers = [frame[key] for key in ("fl_x", "fl_y", "cx", "cy", *"wh")] + frame["distortion_params"]
        assert np.isfinite(np.array(frame["transform_matrix"], np.float32)).all()
        assert np.isfinite(np.array(numbers, np.float32)).all() and min(frame["fl_x"], frame["fl_y"]) > 0
        # What nerfstudio asserts when it loads a photograph, and each other file that it opens.
        assert (frame["w"], frame["h"]) in (head.size, head.upright)
        assert Path(frame["file_path"]).is_file() and ("mask_path" not in frame or Path(frame["mask_path"]).is_file())
    names = {frame["file_path"] for frame in capture.meta["frames"]}
    lists = [capture.meta[key] for key in capture.meta if key.endswith("_filenames")]
    assert len(lists) in (0, 3) and all(set(entries) <= names for entries in lists)
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "capture"
    small_capture(folder)
    (folder / "masks").mkdir()
    return folder


@given(changes=changes)
@settings(max_examples=150)
def test_any_transforms_json(folder, changes):
    meta = small_capture_again(folder)
    for frame, key, value in changes:
        frames = meta.get("frames")
        holder = meta
        if frame >= 0 and isinstance(frames, list) and frame < len(frames) and isinstance(frames[frame], dict):
            holder = frames[frame]
        if value == "drop":
            holder.pop(key, None)
        else:
            holder[key] = value
    write(folder, meta)
    _is_accepted_whole_or_refused_in_a_sentence(folder)


@pytest.mark.parametrize("key", KEYS)
def test_each_key_with_each_number_and_word(folder, key):
    for value in (*NUMBERS, *WORDS, [], {}, None):
        for of_a_frame in (False, True):
            meta = small_capture_again(folder)
            (meta["frames"][1] if of_a_frame else meta)[key] = value
            write(folder, meta)
            _is_accepted_whole_or_refused_in_a_sentence(folder)


@given(text=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf8", "surrogatepass")))
@settings(max_examples=40)
def test_any_bytes_in_place_of_it(folder, text):
    (folder / "transforms.json").write_bytes(text)
    assert not _is_accepted_whole_or_refused_in_a_sentence(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"frames": ' + "[" * 100_000, "\ufeff[]", "1e999", "null"])
def test_json_that_is_none_of_a_capture(folder, text):
    (folder / "transforms.json").write_text(text, encoding="utf8")
    assert not _is_accepted_whole_or_refused_in_a_sentence(folder)


WRITABLE = {
    **dict.fromkeys(("1", "L", "P", "RGB", "RGBA", "LA", "I;16"), (".png", ".tiff")),
    **{"CMYK": (".jpg", ".tiff"), "YCbCr": (".jpg", ".tiff"), "F": (".tiff",), "I": (".tiff",), "LAB": (".tiff",)},
}


@given(
    mode=st.sampled_from(sorted(WRITABLE)),
    second=st.booleans(),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    said=st.sampled_from(["as it is", "turned", "half", "nothing"]),
    orientation=st.integers(0, 9),
    damage=st.none() | st.floats(0, 1),
)
@settings(max_examples=150)
def test_any_photograph(folder, mode, second, size, said, orientation, damage):
    """One photograph of six is another one: of any mode and size, with any tag, cut short or with bytes overwritten."""
    meta = small_capture_again(folder)
    ending = WRITABLE[mode][second and len(WRITABLE[mode]) > 1]
    path = folder / "images" / f"other{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise(3, *size).convert(mode if mode not in ("I;16", "LAB") else "L").save(path, exif=exif)
    if damage is not None:
        content = bytearray(path.read_bytes())
        place = int(damage * len(content))
        noisy = random.Random(place).randbytes(8)
        path.write_bytes(content[:place] if second else bytes(content[:place]) + noisy + bytes(content[place + 8 :]))
    width, height = size
    middle = {"cx": width / 2, "cy": height / 2}
    sizes = {
        "as it is": {"w": width, "h": height, **middle},
        "turned": {"w": height, "h": width},
        "half": {"w": width / 2},
    }
    meta["frames"][2] |= {"file_path": f"images/{path.name}", **sizes.get(said, {})}
    write(folder, meta)
    accepted = _is_accepted_whole_or_refused_in_a_sentence(folder)
    if damage is None and said == "as it is" and path.suffix == ".png":
        # Sides are so small that a focal length of 20 is never too short for them.
        assert accepted


def small_capture_again(folder: Path):
    """The content of the transforms.json of the small capture, fresh."""
    from tests.captures.small import FOCAL, HEIGHT, WIDTH, poses

    frames = [{"file_path": f"images/{view:02d}.png", "transform_matrix": pose} for view, pose in enumerate(poses())]
    lens = {"camera_model": "PINHOLE", "w": WIDTH, "h": HEIGHT, "fl_x": FOCAL, "fl_y": FOCAL}
    return {**lens, "cx": WIDTH / 2, "cy": HEIGHT / 2, "frames": frames}
