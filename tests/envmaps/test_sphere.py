"""Where a panorama's pixels look, and that looking them up has no seam and no special place."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasttext2style.envmaps.sphere import crops, directions, integral, ray_directions, sample, solid_angles, turned
from fasttext2style.scene.cameras import Cameras

HALF = math.sqrt(0.5)


def _noise(height=16, channels=3, dtype=torch.float64):
    return torch.rand(height, 2 * height, channels, generator=torch.Generator().manual_seed(3), dtype=dtype)


def test_the_pixels_of_a_small_panorama_look_where_one_reckons_by_hand():
    # 2 x 4: rows look 45 degrees up and down; the columns' middles stand at 135, 45, -45 and -135 degrees from +x.
    expected = [[(-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5)]]
    found = directions(2, 4)
    torch.testing.assert_close(found[:1, :, :2], torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(found[..., 2], torch.tensor([[HALF] * 4, [-HALF] * 4], dtype=torch.float64))


@pytest.mark.parametrize(
    ("direction", "row", "column"),
    [
        ((1, 0, 0), 7.5, 15.5),
        ((0, 1, 0), 7.5, 7.5),
        ((0, -1, 0), 7.5, 23.5),
        ((-1, 0, 0), 7.5, 31.5),
        ((1, 0, 1), 3.5, 15.5),
    ],
)
def test_an_axis_of_the_world_finds_its_place_in_the_picture(direction, row, column):
    """The horizon lies in the middle, +x in its middle, +y a quarter to the left: as Blender lays a panorama."""
    near = torch.zeros(16, 32, 1)
    for r in (math.floor(row), math.ceil(row)):
        for c in (math.floor(column), math.ceil(column)):
            near[r, c % 32] = 1.0
    assert float(sample(near, torch.tensor(direction, dtype=torch.float32))) == pytest.approx(1.0, abs=1e-5)


def test_sampling_along_the_pixels_gives_the_panorama_back():
    panorama = _noise()
    torch.testing.assert_close(sample(panorama, 3.0 * directions(16, 32)), panorama, rtol=0, atol=1e-12)


def _by_hand(panorama, direction):
    """Bilinear in azimuth and colatitude, the poles as rows of their own, in plain Python."""
    height, width, _ = panorama.shape
    x, y, z = direction / np.linalg.norm(direction)
    column = (math.pi - math.atan2(y, x)) / (2 * math.pi) * width - 0.5
    colatitude = math.acos(max(-1.0, min(1.0, z))) / math.pi * height
    rows = [(0.0, panorama[0].mean(axis=0)[None].repeat(width, axis=0))]
    rows += [(number + 0.5, panorama[number]) for number in range(height)]
    rows += [(float(height), panorama[-1].mean(axis=0)[None].repeat(width, axis=0))]
    for (above, first), (below, second) in pairwise(rows):
        if above <= colatitude <= below:
            share = (colatitude - above) / (below - above)
            left = math.floor(column)
            ends = [
                row[left % width] * (left + 1 - column) + row[(left + 1) % width] * (column - left)
                for row in (first, second)
            ]
            return ends[0] * (1 - share) + ends[1] * share
    raise AssertionError(colatitude)


def test_sampling_equals_a_loop_in_plain_python():
    panorama = _noise(6).numpy()
    along = np.random.default_rng(0).normal(size=(400, 3))
    along[:50, 2] *= 40  # many near the poles
    found = sample(torch.from_numpy(panorama), torch.from_numpy(along))
    expected = np.stack([_by_hand(panorama, direction) for direction in along])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


@given(st.floats(-1.5, 1.5), st.integers(2, 20))
def test_nothing_jumps_where_the_left_edge_meets_the_right_one(elevation, height):
    panorama, step = _noise(height), 1e-7
    azimuths = torch.tensor([math.pi - step, -math.pi + step], dtype=torch.float64)
    level = math.cos(elevation)
    ends = torch.stack([level * azimuths.cos(), level * azimuths.sin(), azimuths * 0 + math.sin(elevation)], dim=-1)
    one, other = sample(panorama, ends)
    # Neighbouring pixels differ by at most 1: so far a ray that moves by 2e-7 can see them change.
    assert float((one - other).abs().max()) <= 2 * step * 2 * height


@pytest.mark.parametrize(("pole", "row"), [(1.0, 0), (-1.0, -1)])
def test_a_pole_has_one_value_from_all_sides(pole, row):
    panorama = _noise()
    azimuths = torch.arange(8, dtype=torch.float64)
    around = torch.stack([1e-9 * azimuths.cos(), 1e-9 * azimuths.sin(), azimuths * 0 + pole], dim=-1)
    exactly = torch.tensor([[0.0, 0.0, pole]], dtype=torch.float64)
    expected = panorama[row].mean(dim=0).expand(9, 3)
    torch.testing.assert_close(sample(panorama, torch.cat([around, exactly])), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_right_and_finite_also_at_the_poles(dtype):
    panorama = _noise(4, dtype=dtype).requires_grad_()
    poles = torch.tensor([[0, 0, 1.0], [0, 0, -1.0], [1e-30, 0, 1]], dtype=dtype, requires_grad=True)
    sample(panorama, poles).sum().backward()
    assert bool(torch.isfinite(poles.grad).all()) and bool(torch.isfinite(panorama.grad).all())
    # The mean of a row: each of its pixels has an eighth of what is asked of it.
    torch.testing.assert_close(panorama.grad[-1], torch.full((8, 3), 1 / 8, dtype=dtype))


def test_gradients_agree_with_differences():
    along = torch.tensor(
        [[0.3, -0.8, 0.1], [-1.0, 0.013, 0.4], [0.2, 0.1, -2.0]], dtype=torch.float64, requires_grad=True
    )
    assert torch.autograd.gradcheck(sample, (_noise(4).requires_grad_(), along))


@given(st.integers(0, 40))
def test_no_sample_is_brighter_or_darker_than_the_panorama(seed):
    along = torch.randn(200, 3, generator=torch.Generator().manual_seed(seed))
    sun = torch.zeros(8, 16, 1)
    sun[seed % 8, seed % 16] = 1e5
    found = sample(sun, along)
    assert float(found.min()) >= 0 and float(found.max()) <= 1e5


# --- views -----------------------------------------------------------------------------------------------------------


def test_rays_are_those_that_the_cameras_project():
    cameras = Cameras.looking_at(torch.tensor([[1.0, 2, 3]]), torch.tensor([-1.0, 0.5, 2]), 5, 4, 70)
    points = cameras.centers[0] + 2.5 * ray_directions(cameras)[0]
    local = points @ cameras.viewmats[0, :3, :3].T + cameras.viewmats[0, :3, 3]
    pixels = local @ cameras.Ks[0].T
    x, y = torch.meshgrid(torch.arange(5) + 0.5, torch.arange(4) + 0.5, indexing="xy")
    torch.testing.assert_close(pixels[..., :2] / pixels[..., 2:], torch.stack([x, y], dim=-1), rtol=0, atol=1e-5)


def test_views_are_upright_and_the_right_way_round():
    """A sky that is blue above, with a red half towards +y, seen by a camera that looks along +x."""
    panorama = torch.zeros(64, 128, 3)
    panorama[:32, :, 2] = 1.0
    panorama[:, :64, 0] = 1.0  # the left half: azimuths from 0 to 180 degrees, towards +y
    for place in ((0.0, 0, 0), (5.0, -3, 1)):
        cameras = Cameras.looking_at(torch.tensor([place]), torch.tensor(place) + torch.tensor([1.0, 0, 0]), 20, 20, 60)
        view = crops(panorama, cameras)[0]
        expected = torch.zeros(20, 20, 3)
        expected[:10, :, 2] = 1.0
        expected[:, :10, 0] = 1.0  # +y is on the left of someone who looks along +x
        inner = [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19]
        torch.testing.assert_close(view[inner][:, inner], expected[inner][:, inner], rtol=0, atol=1e-5)


# --- turning ---------------------------------------------------------------------------------------------------------


@given(st.integers(-70, 70))
def test_whole_pixels_are_turned_bit_by_bit(pixels):
    panorama = _noise(dtype=torch.float32)
    assert torch.equal(turned(panorama, pixels * 360 / 32), panorama.roll(-pixels, dims=1))


def test_what_was_along_x_is_along_y_after_a_quarter():
    panorama = _noise()
    x, y = torch.eye(3, dtype=torch.float64)[:2]
    torch.testing.assert_close(sample(turned(panorama, 90), y), sample(panorama, x))


@given(st.floats(-1000, 1000))
def test_turning_keeps_the_light_of_each_row(degrees):
    panorama = _noise()
    panorama[3, 7] = 1e5
    found = turned(panorama, degrees)
    torch.testing.assert_close(found.sum(dim=1), panorama.sum(dim=1), rtol=1e-9, atol=0)
    assert float(found.min()) >= 0


@given(st.floats(-360, 360))
def test_turning_by_parts_of_a_pixel_follows_the_angle(degrees):
    """Of a field that varies slowly a turned panorama shows what the turned field is."""
    panorama, radians = directions(64, 128), math.radians(degrees)
    cos, sin = math.cos(radians), math.sin(radians)
    back = torch.tensor([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], dtype=torch.float64)
    # Between pixels 2.8 degrees apart a cosine is straight to 1 - cos(1.4 degrees).
    torch.testing.assert_close(turned(panorama, degrees), panorama @ back.T, rtol=0, atol=3.1e-4)


# --- solid angles ----------------------------------------------------------------------------------------------------


def test_the_pixels_cover_the_sphere_once():
    for height in (1, 2, 7, 256):
        assert float(solid_angles(height, 2 * height).sum() * 2 * height) == pytest.approx(4 * math.pi, rel=1e-12)


def test_the_first_pixel_of_two_by_four_covers_what_one_reckons_by_hand():
    # A quarter turn from the zenith to the horizon: an eighth of the sphere.
    assert float(solid_angles(2, 4)[0]) == pytest.approx(math.pi / 2)


def test_integrals_over_the_sphere_are_those_of_calculus():
    up = directions(256, 512)[..., 2:]
    found = integral(torch.cat([torch.ones_like(up), up.clamp_min(0), up**2], dim=-1))
    # 4 pi; the cosine over the upper half: pi; its square over all: 4 pi / 3.
    torch.testing.assert_close(found, torch.tensor([4, 1, 4 / 3], dtype=torch.float64) * math.pi, rtol=1e-4, atol=0)


def test_a_sun_beside_darkness_is_summed_exactly():
    dark, sun = 2.0**-10, 2.0**20  # exact in 32 bits, their sum is not
    panorama = torch.full((64, 128, 3), dark)
    panorama[20, 30] = sun
    expected = dark * 4 * math.pi + (sun - dark) * float(solid_angles(64, 128)[20])
    assert float(integral(panorama)[0]) == pytest.approx(expected, rel=1e-12)
