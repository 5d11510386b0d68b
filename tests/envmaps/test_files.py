"""Panoramas come back from files as light, and what is no panorama is refused in one sentence."""

import resource
import subprocess
import sys
from contextlib import contextmanager

import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fasttext2style.envmaps import radiance
from fasttext2style.envmaps.files import read_panorama, write_bands, write_panorama
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.tones import from_display, to_display
from tests.fuzz.fuzzer import _most_memory


def _light(height=16, brightest=1e5):
    generator = torch.Generator().manual_seed(2)
    return torch.rand(height, 2 * height, 3, generator=generator) ** 6 * brightest


def _write_exr(path, channels, **header):
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage} | header
    OpenEXR.File(header, {name: np.asarray(values) for name, values in channels.items()}).write(str(path))


# --- round trips -----------------------------------------------------------------------------------------------------


def test_exr_keeps_every_bit(tmp_path):
    panorama = _light(brightest=3e38)
    write_panorama(tmp_path / "a.exr", panorama)
    assert torch.equal(read_panorama(tmp_path / "a.exr"), panorama)


@pytest.mark.parametrize("height", [2, 16, 70])
@pytest.mark.parametrize("brightest", [1e-9, 1.0, 1e5, 1e37])
def test_hdr_keeps_light_of_any_brightness_to_its_eight_bits(tmp_path, height, brightest):
    panorama = _light(height, brightest)
    write_panorama(tmp_path / "a.hdr", panorama)
    found = read_panorama(tmp_path / "a.hdr")
    # One exponent for three mantissas of 8 bits, of which the largest has its highest bit set.
    largest = panorama.amax(dim=-1, keepdim=True)
    assert found.dtype == torch.float32 and bool(((found - panorama).abs() <= largest / 128 + 1e-38).all())


def test_hdr_is_what_another_reader_sees(tmp_path):
    panorama = _light(16)
    write_panorama(tmp_path / "a.hdr", panorama)
    other = cv2.imread(str(tmp_path / "a.hdr"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(read_panorama(tmp_path / "a.hdr").numpy(), other)
    assert float(np.abs(other - panorama.numpy()).max()) < 1e5 / 100


@pytest.mark.parametrize(("name", "step"), [("a.png", 1 / 65535), ("a.jpg", None)])
def test_display_formats_hold_display_colours(tmp_path, name, step):
    panorama = torch.linspace(0, 1.2, 16)[:, None, None].expand(16, 32, 3).contiguous()
    write_panorama(tmp_path / name, panorama)
    found = read_panorama(tmp_path / name)
    assert float(found.max()) == pytest.approx(1.0, abs=1e-3)
    assert float((to_display(found) - to_display(panorama)).abs().max()) <= (0.51 * step if step else 0.03)


def test_sixteen_bits_stay_sixteen(tmp_path):
    """Pillow would round them to 8: of 4,096 levels 4,096 must come back."""
    levels = (np.arange(4096, dtype=np.uint16) * 16).reshape(32, 128)
    levels = np.concatenate([levels, levels[::-1]]).astype(np.uint16)
    for name, pixels in (("color.png", np.stack([levels] * 3, axis=-1)), ("grey.png", levels)):
        cv2.imwrite(str(tmp_path / name), pixels)
        found = read_panorama(tmp_path / name)
        assert len(found[..., 1].unique()) == 4096
        expected = from_display(torch.from_numpy(levels.astype(np.float64) / 65535))
        torch.testing.assert_close(found[..., 1].double(), expected, rtol=0, atol=1e-6)


def test_red_is_red_in_every_format(tmp_path):
    panorama = torch.tensor([1.0, 0.5, 0.25]).expand(8, 16, 3).contiguous()
    for name in ("a.hdr", "a.exr", "a.png", "a.jpg", "b.jpeg"):
        write_panorama(tmp_path / name, panorama)
        torch.testing.assert_close(read_panorama(tmp_path / name), panorama, rtol=0, atol=0.02)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_pictures_of_other_modes_are_read(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("RGB", (16, 8), (255, 255, 255)).convert(mode).save(path)
    torch.testing.assert_close(read_panorama(path), torch.ones(8, 16, 3), rtol=0, atol=0.01)


@given(st.integers(1, 40), st.sampled_from([".hdr", ".exr", ".png"]))
def test_a_smaller_panorama_is_the_whole_one_made_smaller(tmp_path_factory, at_most, suffix):
    path = tmp_path_factory.mktemp("small") / f"a{suffix}"
    write_panorama(path, _light(34, 1.0))
    whole = read_panorama(path)
    expected = resized(whole, min(at_most, 34))
    torch.testing.assert_close(read_panorama(path, at_most=at_most), expected, rtol=1e-4, atol=1e-6)


# --- what other programs write into an .exr --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("R", "G", "B"),
        ("View Layer.Combined.R", "View Layer.Combined.G", "View Layer.Combined.B"),
        ("red", "green", "blue"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_channels_are_found_by_the_names_of_other_programs(tmp_path, names, dtype):
    planes = [np.full((8, 16), value, dtype) for value in (1, 2, 3)]
    depth = {"Z": np.full((8, 16), 9, np.float32)} if names[0] != "red" else {}
    _write_exr(tmp_path / "a.exr", dict(zip(names, planes, strict=True)) | depth)
    assert torch.equal(read_panorama(tmp_path / "a.exr"), torch.tensor([1.0, 2, 3]).expand(8, 16, 3))


def test_grey_is_white_light(tmp_path):
    _write_exr(tmp_path / "a.exr", {"Y": np.full((8, 16), 2, np.float32)})
    assert torch.equal(read_panorama(tmp_path / "a.exr"), torch.full((8, 16, 3), 2.0))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("X", "Y", "Z"), "no channels R, G and B; its channels are X, Y, Z"),
        (("a.R", "a.G", "a.B", "b.R", "b.G", "b.B"), r"several layers of colours \(a, b\)"),
        (("R", "G"), "no channels R, G and B"),
    ],
)
def test_other_channels_are_refused_by_name(tmp_path, names, said):
    _write_exr(tmp_path / "a.exr", {name: np.ones((8, 16), np.float32) for name in names})
    with pytest.raises(ValueError, match=said):
        read_panorama(tmp_path / "a.exr")


def test_whole_numbers_are_no_light(tmp_path):
    _write_exr(tmp_path / "a.exr", {name: np.ones((8, 16), np.uint32) for name in "RGB"})
    with pytest.raises(ValueError, match="whole numbers"):
        read_panorama(tmp_path / "a.exr")


def test_a_part_of_a_picture_is_no_panorama(tmp_path):
    window = (np.array([4, 4], np.int32), np.array([19, 11], np.int32))
    whole = (np.array([0, 0], np.int32), np.array([63, 31], np.int32))
    channels = {name: np.ones((8, 16), np.float32) for name in "RGB"}
    _write_exr(tmp_path / "a.exr", channels, dataWindow=window, displayWindow=whole)
    with pytest.raises(ValueError, match="16 x 8 pixels of a picture of 64 x 32"):
        read_panorama(tmp_path / "a.exr")


# --- bad files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".hdr", ".exr", ".png", ".jpg"])
def test_files_that_were_cut_short_are_refused_wherever(tmp_path, suffix):
    write_panorama(tmp_path / f"whole{suffix}", _light(32, 1.0))
    content, path = (tmp_path / f"whole{suffix}").read_bytes(), tmp_path / f"a{suffix}"
    # .png ends on a chunk without pixels (12 bytes), .jpg on a mark of 2.
    ends = [0, 1, 4, 11, 20, 60, *range(100, len(content) - 30, len(content) // 12)]
    for end in ends:
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match="a" + suffix) as refused:
            read_panorama(path)
        assert "\n" not in str(refused.value) and "Traceback" not in str(refused.value)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((64, 64), "64 x 64 pixels, and a panorama is twice as wide as high.*mirror ball"),
        ((64, 48), "cube map"),
        ((48, 64), "cube map"),
        ((96, 16), "cube map"),
        ((16, 96), "cube map"),
        ((65, 32), "crop or pad"),
        ((32, 64), "crop or pad"),
    ],
)
@pytest.mark.parametrize("suffix", [".hdr", ".exr", ".png"])
def test_what_is_not_twice_as_wide_as_high_is_refused(tmp_path, size, said, suffix):
    path, pixels = tmp_path / f"a{suffix}", np.ones((size[1], size[0], 3), np.float32)
    if suffix == ".exr":
        _write_exr(path, {"RGB": pixels})
    else:
        cv2.imwrite(str(path), pixels if suffix == ".hdr" else pixels.astype(np.uint8))
    with pytest.raises(ValueError, match=said):
        read_panorama(path)


@pytest.mark.parametrize(
    ("made_as", "called"), [("a.png", "a.hdr"), ("a.jpg", "a.exr"), ("a.hdr", "a.png"), ("a.exr", "a.jpg")]
)
def test_files_under_a_wrong_name_are_refused(tmp_path, made_as, called):
    write_panorama(tmp_path / made_as, _light(8, 1.0))
    (tmp_path / made_as).rename(tmp_path / called)
    with pytest.raises(ValueError, match=f"{called} is called .*rename it to {made_as}"):
        read_panorama(tmp_path / called)


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "a.hdr").write_bytes(b"II*\0 a TIFF")
    with pytest.raises(ValueError, match="no Radiance picture"):
        read_panorama(tmp_path / "a.hdr")
    with pytest.raises(ValueError, match="cannot be opened: No such file"):
        read_panorama(tmp_path / "none.hdr")
    with pytest.raises(ValueError, match="cannot be opened: Is a directory"):
        read_panorama(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"32-bit_rle_rgbe", b"32-bit_rle_xyze", "32-bit_rle_xyze, expected 32-bit_rle_rgbe"),
        (b"-Y 16 +X 32", b"+Y 16 +X 32", "rows in the order"),
        (b"-Y 16 +X 32", b"-Y 8192 +X 16384", "cut short"),
        (b"-Y 16 +X 32", b"-Y 16384 +X 32768", "cut short|at most 16384"),
    ],
)
def test_other_radiance_files_are_refused(tmp_path, old, new, said):
    write_panorama(tmp_path / "a.hdr", _light(16))
    content = (tmp_path / "a.hdr").read_bytes()
    assert old in content
    (tmp_path / "a.hdr").write_bytes(content.replace(old, new))
    with pytest.raises(ValueError, match=said):
        read_panorama(tmp_path / "a.hdr")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1e-3])
def test_what_is_no_radiance_is_refused_with_its_place_or_repaired(tmp_path, value):
    pixels = np.ones((100, 200, 3), np.float32)
    pixels[77, 5, 1] = value
    _write_exr(tmp_path / "a.exr", {"RGB": pixels})
    for at_most in (None, 10):
        with pytest.raises(ValueError, match="row 77, column 5"):
            read_panorama(tmp_path / "a.exr", at_most=at_most)
    found = read_panorama(tmp_path / "a.exr", repair=True)
    assert float(found[77, 5, 1]) == (65504 if value == float("inf") else 0)
    assert int((found != 1).sum()) == 1


@contextmanager
def files_up_to(size):
    """The system lets no file become larger, the temporary ones of libraries neither."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.hdr", "a.exr", "a.png", "a.jpg"])
@pytest.mark.parametrize("value", [float("nan"), -1.0, float("inf")])
def test_what_is_no_radiance_is_not_written(tmp_path, name, value):
    write_panorama(tmp_path / name, _light(8, 1.0))
    before, broken = (tmp_path / name).read_bytes(), _light(8, 1.0)
    broken[3, 4, 0] = value
    with pytest.raises(ValueError, match=r"was not written: .* row 3, column 4"):
        write_panorama(tmp_path / name, broken)
    assert (tmp_path / name).read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_other_endings_shapes_and_too_much_light_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"these are known: \.hdr, \.exr"):
        write_panorama(tmp_path / "a.tif", _light(8))
    with pytest.raises(ValueError, match=r"\[height, 2 height, 3\], got \[8, 8, 3\]"):
        write_panorama(tmp_path / "a.hdr", torch.ones(8, 8, 3))
    with pytest.raises(ValueError, match=r"write an \.exr"):
        write_panorama(tmp_path / "a.hdr", torch.full((8, 16, 3), 2e38))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.hdr", "a.exr", "a.png"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, name):
    """The disk is full: here, no file may become larger than 2,000 bytes."""
    write_panorama(tmp_path / name, torch.ones(4, 8, 3))
    before = (tmp_path / name).read_bytes()
    with files_up_to(2000), pytest.raises(OSError, match=r"could not|too large"):
        write_panorama(tmp_path / name, torch.rand(64, 128, 3))
    assert (tmp_path / name).read_bytes() == before and [path.name for path in tmp_path.iterdir()] == [name]


# --- large maps ------------------------------------------------------------------------------------------------------


def _even(path, height):
    """One colour all over, of which neither file is large."""
    if path.suffix == ".hdr":
        (whole, rest), width = divmod(2 * height, 127), 2 * height
        plane = bytes([128 + 127, 128]) * whole + (bytes([128 + rest, 128]) if rest else b"")
        row = bytes([2, 2, width >> 8, width & 255]) + 4 * plane
        path.write_bytes(radiance.header(height, width) + row * height)
    else:
        _write_exr(path, dict.fromkeys("RGB", np.ones((height, 2 * height), np.float16)))


def _growth(work):
    """Bytes by which this process grew at most meanwhile, libraries included."""
    before = _most_memory(begins_anew=True)
    work()
    return _most_memory() - before


@pytest.mark.parametrize("suffix", [".hdr", ".exr"])
def test_what_is_wanted_smaller_is_nowhere_held_as_a_whole(tmp_path, suffix):
    """2048 x 1024 pixels are 25 MB of light; a small one first, which loads what is needed."""

    def read(height):
        _even(path := tmp_path / f"{height}{suffix}", height)
        return _growth(lambda: read_panorama(path, at_most=32))

    read(64)
    assert (grew := read(1024)) < 16e6, f"{grew / 1e6:.0f} MB"


@pytest.mark.parametrize("suffix", [".hdr", ".exr"])
def test_what_comes_in_bands_is_written_in_bands(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"

    def write(height):
        band = torch.full((64, 2 * height, 3), 0.5)
        return _growth(lambda: write_bands(path, height, (band for _ in range(0, height, 64))))

    write(64)
    assert (grew := write(1024)) < 16e6, f"{grew / 1e6:.0f} MB"
    torch.testing.assert_close(read_panorama(path, at_most=4), torch.full((4, 8, 3), 0.5))


@pytest.mark.parametrize("suffix", [".hdr", ".exr", ".png"])
def test_bands_that_end_too_soon_or_in_an_error_leave_the_old_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_panorama(path, torch.ones(4, 8, 3))
    before = path.read_bytes()

    def broken():
        yield torch.ones(64, 256, 3)
        raise ValueError("row 64 is damaged")

    for bands, said in ((broken(), "row 64 is damaged"), ([torch.ones(64, 256, 3)], "expected 128 rows, got 64")):
        with pytest.raises(ValueError, match=said):
            write_bands(path, 128, bands)
        assert path.read_bytes() == before and [it.name for it in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("tile", [(16384, 2048), (16384, 8192)])
def test_tiles_that_would_be_unpacked_to_more_than_is_allowed_are_refused(tmp_path, tile):
    """A tile of one colour packs a gigabyte into one megabyte; here it is larger than the picture itself."""
    import OpenEXR

    tiles = OpenEXR.TileDescription()
    tiles.xSize, tiles.ySize = tile
    ones = np.ones((64, 128), np.float16)
    _write_exr(tmp_path / "a.exr", dict.fromkeys("RGB", ones), type=OpenEXR.tiledimage, tiles=tiles)
    with pytest.raises(
        ValueError, match=r"a\.exr is unpacked in blocks of [0-9,]+ bytes.*at most 100,000,000 are read"
    ):
        read_panorama(tmp_path / "a.exr")
    tiles.xSize, tiles.ySize = 128, 64
    _write_exr(tmp_path / "b.exr", dict.fromkeys("RGB", ones), type=OpenEXR.tiledimage, tiles=tiles)
    assert torch.equal(read_panorama(tmp_path / "b.exr"), torch.ones(64, 128, 3))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".hdr", ".exr"])
def test_a_16k_map_is_read_and_edited_in_bounded_memory(tmp_path, suffix):
    """16384 x 8192 pixels, 1.6 GB of light; measured: 176 MB to read, 395 MB to edit (.hdr)."""
    _even(path := tmp_path / f"a{suffix}", 8192)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from functools import partial\n"
        "from fasttext2style.envmaps.edit_settings import EditSettings\n"
        "from fasttext2style.envmaps.editing import edit_file\n"
        "from fasttext2style.envmaps.inversion import PanoramaEdit, working_rows\n"
        "from fasttext2style.envmaps.files import read_panorama\n"
        "from fasttext2style.guidance.tiny_encoder import TinyEncoder\n"
        "from tests.fuzz.fuzzer import _most_memory\n"
        "path, encoder = Path(sys.argv[1]), TinyEncoder()\n"
        "before = _most_memory(begins_anew=True)\n"
        "read_panorama(path, at_most=1024)\n"
        "print('GREW', _most_memory() - before)\n"
        "settings = EditSettings(steps=1, crops=1)\n"
        "begin = partial(PanoramaEdit, prompt='gold', encoder=encoder, settings=settings)\n"
        "edit_file(path, path.with_stem('out'), begin, working_rows(encoder))\n"
        "print('GREW', _most_memory() - before)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
    grew = [int(line.split()[1]) for line in ran.stdout.splitlines() if line.startswith("GREW")]
    assert len(grew) == 2 and max(grew) < 500e6, (grew, ran.stderr)
