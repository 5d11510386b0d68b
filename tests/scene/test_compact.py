"""Compact files hold the scene as closely as their formats can, as readers that are not ours see it."""

import gzip
import math
import struct

import pytest
import torch
from random_scene import random_gaussians

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.compact import write_splat, write_spz
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.toy.scene import toy_scene


def spz_by_the_book(path) -> tuple[dict, list[dict]]:
    """Header and Gaussians, read byte by byte as the published description of version 3 says."""
    content = gzip.decompress(path.read_bytes())
    names = ("magic", "version", "count", "degree", "fractional_bits", "flags", "reserved")
    header = dict(zip(names, struct.unpack("<IIIBBBB", content[:16])))
    count, rest = header["count"], (header["degree"] + 1) ** 2 - 1
    at = 16

    def array(width: int) -> list[bytes]:
        nonlocal at
        part = content[at : at + count * width]
        at += count * width
        return [part[row * width : (row + 1) * width] for row in range(count)]

    positions, alphas, colors, scales, rotations, sh = (array(width) for width in (9, 1, 3, 3, 4, 3 * rest))
    assert at == len(content)
    gaussians = []
    for row in range(count):
        word = int.from_bytes(rotations[row], "little")
        largest, quat = word >> 30, {}
        for component in (3, 2, 1, 0):
            if component != largest:
                sign = -1 if word & 512 else 1
                quat[component] = sign * (word & 511) / 511 * math.sqrt(0.5)
                word >>= 10
        quat[largest] = math.sqrt(1 - sum(value**2 for value in quat.values()))
        gaussians.append(
            {
                "mean": [
                    int.from_bytes(positions[row][3 * axis : 3 * axis + 3], "little", signed=True)
                    / 2 ** header["fractional_bits"]
                    for axis in range(3)
                ],
                "opacity": alphas[row][0] / 255,
                "sh_dc": [(byte / 255 - 0.5) / 0.15 for byte in colors[row]],
                "log_scale": [byte / 16 - 10 for byte in scales[row]],
                "xyzw": [quat[component] for component in range(4)],
                "sh_rest": [(byte - 128) / 128 for byte in sh[row]],
            }
        )
    return header, gaussians


def same_rotation(wxyz, xyzw) -> float:
    """Cosine of half the angle between two rotations."""
    wxyz = torch.nn.functional.normalize(wxyz, dim=0)
    return abs(float(wxyz.roll(-1) @ torch.tensor(xyzw)))


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_spz_is_what_its_description_says(tmp_path, degree):
    gaussians = random_gaussians(50, degree)
    gaussians.sh_rest.mul_(0.25)
    write_spz(tmp_path / "a.spz", gaussians)
    header, rows = spz_by_the_book(tmp_path / "a.spz")
    assert header["magic"] == 0x5053474E and (header["version"], header["count"]) == (3, 50)
    assert header["degree"] == degree and header["flags"] == header["reserved"] == 0
    for row, found in enumerate(rows):
        torch.testing.assert_close(torch.tensor(found["mean"]), gaussians.means[row], atol=1e-6, rtol=0)
        assert found["opacity"] == pytest.approx(float(gaussians.opacities[row]), abs=0.5 / 255)
        torch.testing.assert_close(torch.tensor(found["sh_dc"]), gaussians.sh_dc[row], atol=0.5 / 255 / 0.15, rtol=0)
        torch.testing.assert_close(torch.tensor(found["log_scale"]), gaussians.log_scales[row], atol=1 / 32, rtol=0)
        assert same_rotation(gaussians.quats[row], found["xyzw"]) > math.cos(math.radians(0.15))
        sh = torch.tensor(found["sh_rest"]).reshape(-1, 3)
        torch.testing.assert_close(sh[:3], gaussians.sh_rest[row, :3], atol=4.5 / 128, rtol=0)
        torch.testing.assert_close(sh[3:], gaussians.sh_rest[row, 3:], atol=8.5 / 128, rtol=0)


def test_another_library_reads_a_scene_that_looks_the_same_in_a_tenth_of_the_space(tmp_path):
    gsply = pytest.importorskip("gsply")
    scene = toy_scene().gaussians.with_sh_degree(3)
    write_spz(tmp_path / "a.spz", scene)
    found = gsply.read_spz(tmp_path / "a.spz")
    parts = (found.means, found.quats, found.scales, found.opacities, found.sh0, found.shN)
    again = Gaussians(*(torch.from_numpy(part.copy()) for part in parts))
    torch.testing.assert_close(again.means, scene.means, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.opacities, scene.opacities, atol=0.51 / 255, rtol=0)
    camera = Cameras.orbit((0.0, 0.0, 0.3), 2.0, 1, 128, 128)
    images = [render(gaussians, camera)[0] for gaussians in (scene, again)]
    assert 10 * math.log10(1 / float((images[0] - images[1]).square().mean())) > 35
    assert (tmp_path / "a.spz").stat().st_size < len(scene) * 62 * 4 / 10


def test_far_gaussians_make_places_coarser_not_wrong(tmp_path):
    gaussians = random_gaussians(3, 0)
    gaussians.means[0] = torch.tensor([-1500.0, 2047.9, 0.5])
    write_spz(tmp_path / "a.spz", gaussians)
    header, rows = spz_by_the_book(tmp_path / "a.spz")
    torch.testing.assert_close(
        torch.tensor([row["mean"] for row in rows]), gaussians.means, atol=0.5 ** header["fractional_bits"], rtol=0
    )
    assert header["fractional_bits"] == 11
    gaussians.means[0] = 1e7
    with pytest.raises(ValueError, match="farthest Gaussian is 1e"):
        write_spz(tmp_path / "b.spz", gaussians)


def test_values_out_of_range_are_cut_off_not_wrapped(tmp_path):
    gaussians = random_gaussians(2, 1)
    gaussians.sh_rest[0], gaussians.sh_rest[1] = 1e9, -1e9
    gaussians.sh_dc[0], gaussians.sh_dc[1] = 1e9, -1e9
    gaussians.log_scales[0], gaussians.log_scales[1] = 30.0, -30.0
    write_spz(tmp_path / "a.spz", gaussians)
    high, low = spz_by_the_book(tmp_path / "a.spz")[1]
    assert high["sh_rest"] == [127 / 128] * 9 and low["sh_rest"] == [-1.0] * 9
    assert high["sh_dc"] == pytest.approx([0.5 / 0.15] * 3) and low["sh_dc"] == pytest.approx([-0.5 / 0.15] * 3)
    assert high["log_scale"] == [255 / 16 - 10] * 3 and low["log_scale"] == [-10.0] * 3


def test_splat_is_32_bytes_each_the_most_visible_first(tmp_path):
    gaussians = random_gaussians(20, 1)
    write_splat(tmp_path / "a.splat", gaussians)
    content = (tmp_path / "a.splat").read_bytes()
    assert len(content) == 20 * 32
    visibility = gaussians.scales.prod(dim=1) * gaussians.opacities
    for row, index in enumerate(visibility.argsort(descending=True).tolist()):
        *floats, red, green, blue, alpha, w, x, y, z = struct.unpack("<6f8B", content[32 * row : 32 * row + 32])
        assert floats[:3] == gaussians.means[index].tolist() and floats[3:] == gaussians.scales[index].tolist()
        color = (0.5 + 0.28209479177387814 * gaussians.sh_dc[index]).clamp(0, 1)
        assert [red, green, blue] == pytest.approx((255 * color).tolist(), abs=0.51)
        assert alpha == pytest.approx(255 * float(gaussians.opacities[index]), abs=0.51)
        quat = torch.nn.functional.normalize(torch.tensor([x, y, z, w]) - 128.0, dim=0).tolist()
        assert same_rotation(gaussians.quats[index], quat) > math.cos(math.radians(1))


@pytest.mark.parametrize("write", [write_spz, write_splat])
def test_what_cannot_be_written_is_named_and_leaves_no_file(tmp_path, write):
    with pytest.raises(ValueError, match="no Gaussians to write"):
        write(tmp_path / "a", random_gaussians(3, 0).subset(torch.tensor([], dtype=torch.long)))
    broken = random_gaussians(3, 0)
    broken.means[1, 2] = math.nan
    with pytest.raises(ValueError, match="means: 1"):
        write(tmp_path / "a", broken)
    assert list(tmp_path.iterdir()) == []
