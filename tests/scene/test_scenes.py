"""Scenes in the files of other programs: read as other readers read them, or refused in one sentence."""

import gzip
import math
import struct
import sys
import time
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_scene import random_gaussians

from fasttext2style.scene.files.compact import write_splat, write_spz
from fasttext2style.scene.files.ply import map_vertices, read_ply, write_ply
from fasttext2style.scene.files.scenes import in_rows, lies_in_rows, read_scene, survey
from fasttext2style.scene.gaussians import SH_C0, Gaussians

gsply = pytest.importorskip("gsply")


def theirs(found) -> Gaussians:
    """A scene as another library holds it."""
    rest = found.shN if found.shN is not None and found.shN.size else np.zeros((len(found.means), 0, 3), np.float32)
    parts = (found.means, found.quats, found.scales, found.opacities, found.sh0, rest)
    return Gaussians(*(torch.from_numpy(np.array(part, dtype=np.float32)) for part in parts))


def assert_alike(ours: Gaussians, others: Gaussians, harmonics: float = 1e-5) -> None:
    torch.testing.assert_close(ours.means, others.means, atol=2e-6, rtol=1e-6)
    torch.testing.assert_close(ours.log_scales, others.log_scales, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.opacities, others.opacities, atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.sh_dc, others.sh_dc, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.sh_rest, others.sh_rest, atol=harmonics, rtol=0)
    cosines = (torch.nn.functional.normalize(ours.quats) * torch.nn.functional.normalize(others.quats)).sum(dim=1)
    assert float(cosines.abs().min()) > 1 - 1e-5


def compressed_ply(path, gaussians: Gaussians) -> None:
    columns = (gaussians.means, gaussians.log_scales, gaussians.quats, gaussians.logit_opacities, gaussians.sh_dc)
    rest = gaussians.sh_rest.numpy() if gaussians.sh_degree else None
    gsply.writer.write_compressed(path, *(column.numpy() for column in columns), rest)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spz_is_read_as_another_library_reads_it(tmp_path, degree):
    write_spz(tmp_path / "a.spz", random_gaussians(300, degree))
    assert_alike(read_scene(tmp_path / "a.spz"), theirs(gsply.read_spz(tmp_path / "a.spz")))


@pytest.mark.parametrize("degree", [0, 3])
def test_spz_of_the_fourth_version_is_read_as_another_library_reads_it(tmp_path, degree):
    pytest.importorskip("zstandard")
    scene = random_gaussians(300, degree)
    rest = scene.sh_rest.numpy() if degree else None
    columns = (scene.means, scene.log_scales, scene.quats, scene.logit_opacities, scene.sh_dc)
    found = gsply.GSData.from_arrays(*(column.numpy() for column in columns), shN=rest)
    gsply.write_spz(tmp_path / "a.spz", found, version=4)
    assert (tmp_path / "a.spz").read_bytes()[:4] == b"NGSP"
    assert_alike(read_scene(tmp_path / "a.spz"), theirs(gsply.read_spz(tmp_path / "a.spz")))


def test_spz_of_the_fourth_version_that_is_damaged_is_refused(tmp_path):
    """Cut short at 40 places; and with streams that unpack to less, or to what is none."""
    zstandard = pytest.importorskip("zstandard")
    parts = [bytes(count) for count in (18, 2, 6, 6, 8)]
    packed = [zstandard.compress(part) for part in parts]
    head = struct.pack("<IIIBBBBI12x", 0x5053474E, 4, 2, 0, 12, 0, 5, 32)
    sizes = b"".join(struct.pack("<QQ", len(one), len(part)) for one, part in zip(packed, parts))
    whole, path = head + sizes + b"".join(packed), tmp_path / "a.spz"
    path.write_bytes(whole)
    assert read_scene(path).means.tolist() == [[0, 0, 0], [0, 0, 0]]
    bad = [whole[: len(whole) * part // 40] for part in range(1, 40)]
    bad += [head + sizes + b"".join([*packed[:4], b"nothing!" * 2]), whole[:8] + b"\xff\xff\xff\xff" + whole[12:]]
    bad += [whole[:15] + b"\x09" + whole[16:], whole[:16] + b"\xff\xff\xff\x7f" + whole[20:]]
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.spz (is|promises)"):
            read_scene(path)


def test_spz_of_the_fourth_version_without_its_package_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "a.spz").write_bytes(b"NGSP" + struct.pack("<I", 4) + bytes(60))
    with pytest.raises(ValueError, match=r"pip install \"fasttext2style\[spz\]\""):
        read_scene(tmp_path / "a.spz")


def test_a_name_that_lies_is_corrected(tmp_path):
    write_spz(tmp_path / "a.ply", random_gaussians(5, 0))
    with pytest.raises(ValueError, match=r"a\.ply begins as \.spz files do: name it a\.spz"):
        read_scene(tmp_path / "a.ply")
    (tmp_path / "b.ply").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(ValueError, match=r"b\.ply is a pointer of git-lfs: `git lfs pull`"):
        read_scene(tmp_path / "b.ply")


def test_in_place_of_a_folder_a_scene_in_it_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder, and a scene is a file"):
        read_scene(tmp_path)
    for steps in (7000, 30000):
        (tmp_path / "point_cloud" / f"iteration_{steps}").mkdir(parents=True)
        (tmp_path / "point_cloud" / f"iteration_{steps}" / "point_cloud.ply").touch()
    (tmp_path / "input.ply").touch()
    with pytest.raises(ValueError, match=r"iteration_30000/point_cloud\.ply: name that"):
        read_scene(tmp_path)


def test_spz_of_the_second_version_is_read_as_another_library_reads_it(tmp_path):
    """Any bytes are a scene; those of rotations are kept within those of one."""
    body = np.random.default_rng(0).integers(0, 256, 200 * (9 + 1 + 3 + 3 + 3 + 24), dtype=np.uint8)
    body[200 * 16 : 200 * 19] = 128 + (body[200 * 16 : 200 * 19].astype(int) - 128) // 2
    (tmp_path / "a.spz").write_bytes(spz(2, 200, 2, 12, body.tobytes()))
    assert_alike(read_scene(tmp_path / "a.spz"), theirs(gsply.read_spz(tmp_path / "a.spz")))


def spz(version: int, count: int, degree: int, bits: int, body: bytes, magic: int = 0x5053474E) -> bytes:
    return gzip.compress(struct.pack("<IIIBBBB", magic, version, count, degree, bits, 0, 0) + body)


def test_spz_of_the_first_version_by_hand(tmp_path):
    """Half floats; alpha 255 is opaque; scale 160 is e^0; the three bytes of a rotation are x, y, z around 127.5."""
    body = np.array([1.5, -2.0, 0.25], "<f2").tobytes() + bytes([255, 255, 0, 127, 160, 160, 144, 255, 128, 128])
    (tmp_path / "a.spz").write_bytes(spz(1, 1, 0, 12, body))
    scene = read_scene(tmp_path / "a.spz")
    assert scene.means.tolist() == [[1.5, -2.0, 0.25]] and float(scene.opacities[0]) == 1.0
    assert scene.log_scales.tolist() == [[0.0, 0.0, -1.0]]
    assert scene.sh_dc[0].tolist() == pytest.approx([0.5 / 0.15, -0.5 / 0.15, (127 / 255 - 0.5) / 0.15])
    assert scene.quats[0].tolist() == pytest.approx([0.0, 1.0, 0.5 / 127.5, 0.5 / 127.5], abs=1e-6)


def test_negative_places_of_24_bits_by_hand(tmp_path):
    """-1 in 24 bits is all ones: with 12 bits behind the point that is -1/4096."""
    body = b"\xff\xff\xff" + (4096 * 3).to_bytes(3, "little") + (-(4096 * 5) % 2**24).to_bytes(3, "little")
    body += bytes(7) + struct.pack("<I", 3 << 30)
    (tmp_path / "a.spz").write_bytes(spz(3, 1, 0, 12, body))
    scene = read_scene(tmp_path / "a.spz")
    assert scene.means.tolist() == [[-1 / 4096, 3.0, -5.0]]
    assert scene.quats.tolist() == [[1.0, 0.0, 0.0, 0.0]], "w, the last of x, y, z, w, is the largest"


def test_splat_by_hand(tmp_path):
    row = struct.pack("<6f8B", 1, 2, 3, 1.0, math.e, 0.0, 255, 0, 51, 204, 128, 255, 128, 1)
    (tmp_path / "a.splat").write_bytes(row)
    scene = read_scene(tmp_path / "a.splat")
    assert scene.means.tolist() == [[1, 2, 3]] and scene.sh_degree == 0
    assert scene.log_scales[0].tolist() == pytest.approx([0.0, 1.0, -20.0])
    assert (0.5 + SH_C0 * scene.sh_dc[0]).tolist() == pytest.approx([1.0, 0.0, 0.2], abs=1e-6)
    assert float(scene.opacities[0]) == pytest.approx(0.8)
    assert scene.quats[0].tolist() == pytest.approx([0.0, 127 / 128, 0.0, -127 / 128])


@pytest.mark.parametrize(("write", "suffix"), [(write_spz, "spz"), (write_splat, "splat")])
def test_what_we_write_we_read(tmp_path, write, suffix):
    """As closely as a byte holds it; .splat is sorted by what is seen, so columns are compared sorted."""
    scene = random_gaussians(400, 0)
    write(tmp_path / f"a.{suffix}", scene)
    again = read_scene(tmp_path / f"a.{suffix}")
    assert len(again) == len(scene)
    torch.testing.assert_close(again.means.sort(dim=0).values, scene.means.sort(dim=0).values, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        again.opacities.sort().values, scene.opacities.sort().values, atol=0.51 / 255 + 1e-6, rtol=0
    )
    torch.testing.assert_close(
        again.log_scales.sort(dim=0).values, scene.log_scales.sort(dim=0).values, atol=1 / 32 + 1e-5, rtol=0
    )


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_compressed_ply_is_read_as_another_library_reads_it(tmp_path, degree):
    """Three chunks, the last one not full. Its largest coefficient is half a step below PlayCanvas's."""
    compressed_ply(tmp_path / "a.ply", random_gaussians(700, degree))
    assert_alike(read_scene(tmp_path / "a.ply"), theirs(gsply.plyread(tmp_path / "a.ply")), harmonics=4 / 256 + 1e-6)
    assert not lies_in_rows(tmp_path / "a.ply")
    with pytest.raises(ValueError, match=r"compressed \.ply"):
        map_vertices(tmp_path / "a.ply")


CHUNK = [*(f"min_{a}" for a in "xyz"), *(f"max_{a}" for a in "xyz")]
CHUNK += [*(f"min_scale_{a}" for a in "xyz"), *(f"max_scale_{a}" for a in "xyz")]
WORDS = ("position", "rotation", "scale", "color")


def packed_header(chunks: int, vertices: int, bounds=CHUNK, words=WORDS, more: str = "") -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in bounds] + [f"element vertex {vertices}"]
    lines += [f"property uint packed_{word}" for word in words]
    return "\n".join(lines).encode() + b"\n" + more.encode() + b"end_header\n"


@pytest.mark.parametrize("with_colors", [False, True])
def test_a_compressed_ply_by_hand(tmp_path, with_colors):
    """x at its upper bound, y at its lower one, z half way; w left out; a colour within 0 to 1, or within bounds."""
    bounds = struct.pack("<12f", -1, -2, -3, 1, 2, 3, -8, -8, -8, -4, -4, -4)
    names = CHUNK + (["min_r", "min_g", "min_b", "max_r", "max_g", "max_b"] if with_colors else [])
    bounds += struct.pack("<6f", -1, 0, 0.5, 2, 1, 0.7) if with_colors else b""
    place = (2047 << 21) | (0 << 11) | 1024
    rotation = (0 << 30) | (1023 << 20) | (0 << 10) | 0
    scale, color = (0 << 21) | (1023 << 11) | 2047, (255 << 24) | (255 << 16) | (0 << 8) | 51
    harmonics = "element sh 1\n" + "".join(f"property uchar f_rest_{number}\n" for number in range(9))
    content = packed_header(1, 1, names, more=harmonics) + bounds
    content += struct.pack("<4I9B", place, rotation, scale, color, 0, 255, 127, 1, 2, 3, 4, 5, 6)
    (tmp_path / "a.ply").write_bytes(content)
    scene = read_ply(tmp_path / "a.ply")
    assert scene.sh_rest[0, :, 0].tolist() == [-4.0, 4.0, 8 * (127.5 / 256 - 0.5)], "all of red come first"
    assert scene.means[0].tolist() == pytest.approx([1.0, -2.0, -3 + 6 * 1024 / 2047], abs=1e-6)
    assert scene.log_scales[0].tolist() == pytest.approx([-8.0, -4.0, -4.0])
    colors = [2.0, 1.0, 0.5] if with_colors else [1.0, 1.0, 0.0]
    assert (0.5 + SH_C0 * scene.sh_dc[0]).tolist() == pytest.approx(colors, abs=1e-6)
    assert float(scene.opacities[0]) == pytest.approx(0.2)
    half = math.sqrt(0.5)
    assert scene.quats[0].tolist() == pytest.approx([0.0, half, -half, -half], abs=1e-6)


def _ply(*arguments, body: int = 200, **options) -> bytes:
    return packed_header(*arguments, **options) + bytes(body)


BAD = {
    "a picture": (".spz", b"\x89PNG\r\n", "not an .spz"),
    "empty": (".spz", b"", "not an .spz"),
    "cut within the header": (".spz", gzip.compress(b"NGSP\x03\0"), "within its header"),
    "cut within gzip": (".spz", spz(3, 50, 0, 12, bytes(1000))[:-12], "cut short"),
    "another magic": (".spz", spz(3, 1, 0, 12, bytes(20), magic=1), "mark 0x1"),
    "version 9": (".spz", spz(9, 1, 0, 12, bytes(20)), "version 9"),
    "SH degree 7": (".spz", spz(3, 1, 7, 12, bytes(20)), "degree 7"),
    "no Gaussians": (".spz", spz(3, 0, 0, 12, b""), "no Gaussians"),
    "fewer than promised": (".spz", spz(3, 3, 0, 12, bytes(40)), "cut short"),
    "four thousand million": (".spz", spz(3, 2**32 - 1, 3, 12, bytes(40)), "can hold"),
    "noise": (".spz", b"\x1f\x8b" + bytes(range(200)), "damaged"),
    "half a Gaussian": (".splat", bytes(48), "48 bytes"),
    "nothing": (".splat", b"", "0 bytes"),
    "vertices are missing": (".ply", _ply(1, 2, body=48 + 31), "cut short"),
    "a million million": (".ply", _ply(10**12 // 256 + 1, 10**12), "damaged|cut short"),
    "too few chunks": (".ply", _ply(1, 257, body=5000), "chunk 1"),
    "no bounds": (".ply", _ply(1, 1, bounds=CHUNK[:6]), "min_scale_x"),
    "no colours": (".ply", _ply(1, 1, words=WORDS[:3]), "packed_color"),
    "lists": (".ply", _ply(1, 1, more="property list uchar int a\n"), "not one number"),
    "another element": (".ply", _ply(1, 1, more="element face 1\nproperty uchar a\n"), "face"),
    "odd harmonics": (".ply", _ply(1, 1, more="element sh 1\nproperty uchar f_rest_0\n"), "f_rest"),
    "words of 16 bits": (".ply", _ply(1, 1).replace(b"uint packed_scale", b"ushort packed_scale"), "32 bits"),
    "an ascii one": (".ply", _ply(1, 1).replace(b"binary_little_endian", b"ascii"), "ascii"),
    "none at all": (".ply", _ply(0, 0), "no Gaussians"),
    "another kind of scene": (".ksplat", bytes(64), "no scene that is read here"),
    "a mesh": (".glb", b"glTF", "no scene that is read here"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_is_refused_in_one_sentence_before_it_is_allocated(tmp_path, what):
    suffix, content, said = BAD[what]
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    for read in (read_scene, lambda path: survey(path, 10)):
        tracemalloc.start()
        began = time.process_time()
        with pytest.raises(ValueError, match=said) as refused:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6 and time.process_time() - began < 2
        tracemalloc.stop()
        assert "bad." in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("suffix", ["spz", "ply", "splat"])
def test_every_file_that_is_cut_short_is_refused(tmp_path, suffix):
    """At 40 places. A .splat is cut within a row: whole rows are a smaller scene, nothing says how many there were."""
    scene = random_gaussians(20, 0)
    {"spz": write_spz, "ply": compressed_ply, "splat": write_splat}[suffix](tmp_path / f"a.{suffix}", scene)
    content = (tmp_path / f"a.{suffix}").read_bytes()
    path = tmp_path / f"b.{suffix}"
    for length in {len(content) * part // 40 for part in range(40)}:
        if suffix != "splat" or length % 32 or length == 0:
            path.write_bytes(content[:length])
            with pytest.raises(ValueError, match=r"b\."):
                read_scene(path)


def test_rows_that_are_no_numbers_are_left_out_only_on_request(tmp_path):
    rows = [struct.pack("<6f8B", x, 2, 3, 1.0, size, 1.0, *[200] * 8) for x, size in ((1, 1), (math.nan, 1), (2, -1))]
    path = tmp_path / "a.splat"
    path.write_bytes(b"".join(rows))
    with pytest.raises(ValueError, match="2 of 3 Gaussians have NaN"):
        read_scene(path)
    with pytest.warns(UserWarning, match="2 of 3"):
        assert read_scene(path, drop_invalid=True).means.tolist() == [[1, 2, 3]]
    found = survey(path, 10)
    assert (found.valid, found.invalid, len(found.some)) == (1, 2, 1)
    assert "2 Gaussians" in in_rows(path, tmp_path / "rows.ply")
    assert read_ply(tmp_path / "rows.ply").means.tolist() == [[1, 2, 3]]


def test_a_plain_ply_stays_where_it_is_and_a_compact_one_gets_rows(tmp_path):
    scene = random_gaussians(30, 1)
    write_ply(tmp_path / "a.ply", scene)
    assert in_rows(tmp_path / "a.ply", tmp_path / "rows.ply") == "" and not (tmp_path / "rows.ply").exists()
    write_spz(tmp_path / "a.spz", scene)
    assert "compact" in in_rows(tmp_path / "a.spz", tmp_path / "rows.ply")
    assert torch.equal(read_ply(tmp_path / "rows.ply").sh_rest, read_scene(tmp_path / "a.spz").sh_rest)
    assert 1 <= len(survey(tmp_path / "a.spz", 7).some) <= 7


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_splat_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.splat"
    path.write_bytes(content)
    try:
        assert 32 * len(read_scene(path, drop_invalid=True)) <= len(content)
    except ValueError as error:
        assert len(content) % 32 or not content or "NaN or infinite" in str(error)
