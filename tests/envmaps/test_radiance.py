"""Radiance files row by row: as OpenCV reads and writes them as a whole, and refused where they say what cannot be."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttext2style.envmaps import radiance
from fasttext2style.envmaps.files import read_panorama


def _light(height: int, width: int, seed: int) -> np.ndarray:
    """Noise of any brightness with even places in it, some of them black."""
    dice = np.random.default_rng(seed)
    light = dice.random((height, width, 3)) ** 4 * 10.0 ** dice.uniform(-34, 37, (height, 1, 1))
    light[dice.random((height, width)) < 0.2] = 0
    for row, start in enumerate(dice.integers(0, width, height)):
        light[row, start : start + dice.integers(1, 300)] = light[row, start]
    return light.astype(np.float32)


def _file(light: np.ndarray) -> bytes:
    return radiance.header(*light.shape[:2]) + radiance.packed(radiance.to_rgbe(light))


def _by_opencv(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]


def _rows_of(content: bytes) -> bytes:
    return content.partition(b"\n\n")[2].partition(b"\n")[2]


@settings(max_examples=40)
@given(st.integers(1, 70), st.sampled_from([1, 7, 8, 9, 127, 128, 129, 300]), st.integers(0, 999))
def test_rows_are_written_as_opencv_writes_them_and_read_as_it_reads_them(height, width, seed):
    light = _light(height, width, seed)
    written, content = cv2.imencode(".hdr", np.ascontiguousarray(light[..., ::-1]))
    assert written
    theirs = _by_opencv(content.tobytes())
    np.testing.assert_array_equal(_by_opencv(_file(light)), theirs)
    stream = io.BytesIO(_rows_of(content.tobytes()))
    ours = np.concatenate([radiance.to_light(rows) for rows in radiance.read_rows(stream.read, height, width)])
    np.testing.assert_array_equal(ours, theirs)
    assert not stream.read()


def test_a_pixel_by_hand():
    pixel = np.array([[[128, 64, 32, 129]]], np.uint8)
    np.testing.assert_array_equal(radiance.to_light(pixel), [[[1, 0.5, 0.25]]])
    np.testing.assert_array_equal(radiance.to_rgbe(np.array([[[1, 0.5, 0.25]]], np.float32)), pixel)


def test_rows_that_are_not_packed_are_read_beside_those_that_are(tmp_path):
    light = _light(8, 16, 1)
    rgbe = radiance.to_rgbe(light)
    rows = [radiance.packed(rgbe[row : row + 1]) if row % 2 else rgbe[row].tobytes() for row in range(8)]
    (tmp_path / "a.hdr").write_bytes(radiance.header(8, 16) + b"".join(rows))
    np.testing.assert_array_equal(read_panorama(tmp_path / "a.hdr").numpy(), radiance.to_light(rgbe))


ROW = bytes([2, 2, 0, 16])
PLANE = bytes([128 + 16, 5])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (bytes([2, 2, 0, 17]) + 4 * PLANE, "it has 17 pixels, expected 16"),
        (ROW + bytes([128 + 17, 5]) + 3 * PLANE, "a run goes on beyond its end"),
        (ROW + bytes([9, *range(9), 8, *range(8)]) + 3 * PLANE, "a run goes on beyond its end"),
        (ROW + bytes([0]) + 4 * PLANE, "a run of nothing"),
        (ROW + 3 * PLANE, "the file ends in it"),
        (ROW + 3 * PLANE + PLANE[:1], "the file ends in it"),
        (ROW + 3 * PLANE + bytes([16, 1, 2]), "the file ends in it"),
        (b"", "the file ends before it"),
        (bytes(4 * 15), "the file ends in it"),
        (bytes([9, 9, 9, 128, 1, 1, 1, 15] + 14 * [0, 0, 0, 0]), "before 1991"),
    ],
)
def test_what_no_row_can_be_is_refused_with_its_number(tmp_path, row, said):
    """The last of eight."""
    whole = ROW + 4 * PLANE
    (tmp_path / "a.hdr").write_bytes(radiance.header(8, 16) + 7 * whole + row)
    with pytest.raises(ValueError, match=rf"a\.hdr is cut short or damaged in row 7: .*{said}"):
        read_panorama(tmp_path / "a.hdr")
