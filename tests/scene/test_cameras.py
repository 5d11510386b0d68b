"""Cameras against hand values, nerfstudio's convention, and the laws of projection."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scene import as_users_run_it
from scipy.spatial.transform import Rotation

from fasttext2style.scene.cameras import Cameras, evenly_spread


def project(cameras: Cameras, points: torch.Tensor) -> torch.Tensor:
    """[views, points, 2] in pixels."""
    in_camera = points @ cameras.viewmats[:, :3, :3].transpose(1, 2) + cameras.viewmats[:, None, :3, 3]
    pixels = in_camera @ cameras.Ks.transpose(1, 2)
    return pixels[..., :2] / pixels[..., 2:]


def orbit(**changes) -> Cameras:
    return Cameras.orbit(**{"center": (0.0, 0.0, 0.0), "radius": 3.0, "views": 5, "width": 64, "height": 48} | changes)


def random_cameras(seed: int, views: int = 4) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    rotations = torch.from_numpy(Rotation.random(views, random_state=seed).as_matrix()).float()
    viewmats = torch.eye(4).repeat(views, 1, 1)
    viewmats[:, :3, :3] = rotations
    viewmats[:, :3, 3] = torch.randn(views, 3, generator=generator)
    K = torch.tensor([[70.0, 0, 31], [0, 71, 25], [0, 0, 1]])
    return Cameras(viewmats, K.repeat(views, 1, 1), 64, 48)


def test_orbit_looks_at_its_center_from_its_radius():
    cameras = orbit(center=(1.0, 2.0, 3.0), elevation_degrees=30.0)
    pixels = project(cameras, torch.tensor([[1.0, 2.0, 3.0]]))
    torch.testing.assert_close(pixels[:, 0], torch.tensor([32.0, 24.0]).expand(5, 2), atol=1e-4, rtol=0)
    offsets = cameras.centers - torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(offsets.norm(dim=1), torch.full((5,), 3.0))
    torch.testing.assert_close(offsets[:, 2], torch.full((5,), 1.5))
    torch.testing.assert_close(offsets[0, :2], torch.tensor([3 * math.cos(math.radians(30)), 0.0]))
    torch.testing.assert_close(cameras.directions, -offsets / 3)


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (1.0, 0.2, 0.0)])
def test_orbit_stands_upright(up):
    cameras = orbit(up=up)
    axis = torch.nn.functional.normalize(torch.tensor(up), dim=0)
    lower, higher = project(cameras, torch.stack([-0.1 * axis, 0.1 * axis])).unbind(dim=1)
    assert (higher[:, 1] < lower[:, 1]).all()
    torch.testing.assert_close(higher[:, 0], lower[:, 0], atol=1e-3, rtol=0)


def test_orbit_takes_an_elevation_per_view():
    elevations = torch.tensor([-60.0, 0.0, 10.0, 45.0, 80.0])
    heights = orbit(elevation_degrees=elevations).centers[:, 2]
    torch.testing.assert_close(heights, 3 * torch.deg2rad(elevations).sin())


def test_the_field_of_view_spans_the_shorter_side():
    cameras = orbit(views=1, fov_degrees=90.0)
    # At distance 3 a half angle of 45 degrees reaches 3 up.
    pixels = project(cameras, torch.tensor([[0.0, 0.0, 0.0]]) - 3 * cameras.viewmats[:, 1, :3])
    top = cameras.cropped(torch.tensor([[0.0, 0.0, 64.0, 48.0]]), 64, 48)
    assert pixels[0, 0, 1].item() == pytest.approx(0.0, abs=1e-3)
    torch.testing.assert_close(top.Ks, cameras.Ks)


def test_cameras_from_opengl_equal_nerfstudios_own_conversion():
    """nerfstudio's splatfacto flips y and z of camera to world and inverts it."""
    cameras = random_cameras(0)
    flipped = torch.linalg.inv(cameras.viewmats)
    flipped[:, :3, 1:3] *= -1
    column = torch.full((4, 1), 70.0)
    converted = Cameras.from_opengl(flipped[:, :3], column, torch.full((4,), 71.0), 31, 25.0, 64, 48)
    torch.testing.assert_close(converted.viewmats, cameras.viewmats, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(converted.Ks, cameras.Ks)
    torch.testing.assert_close(cameras.to_opengl(), flipped[:, :3], atol=1e-5, rtol=1e-5)
    whole = Cameras.from_opengl(flipped, 70, 71, 31, 25, 64, 48)
    torch.testing.assert_close(whole.viewmats, converted.viewmats)


@given(seed=st.integers(0, 1000), width=st.integers(1, 300), height=st.integers(1, 300))
@settings(max_examples=25, deadline=None)
def test_resizing_moves_no_ray(seed, width, height):
    cameras, points = random_cameras(seed), torch.randn(7, 3)
    resized = cameras.resized(width, height)
    expected = project(cameras, points) * torch.tensor([width / 64, height / 48])
    torch.testing.assert_close(project(resized, points), expected, rtol=1e-4, atol=1e-2)
    assert (resized.width, resized.height) == (width, height)


@given(seed=st.integers(0, 1000), x0=st.floats(-50, 90), y0=st.floats(-50, 90), w=st.floats(1, 99), h=st.floats(1, 99))
@settings(max_examples=25, deadline=None)
def test_a_crop_shows_the_box_and_nothing_else(seed, x0, y0, w, h):
    cameras, points = random_cameras(seed, views=1), torch.randn(7, 3)
    cropped = cameras.cropped(torch.tensor([[x0, y0, x0 + w, y0 + h]]), 32, 16)
    expected = (project(cameras, points) - torch.tensor([x0, y0])) * torch.tensor([32 / w, 16 / h])
    torch.testing.assert_close(project(cropped, points), expected, rtol=1e-3, atol=1e-1)


def test_cropping_the_crop_is_one_crop():
    cameras = random_cameras(3, views=1)
    twice = cameras.cropped(torch.tensor([[10.0, 10, 50, 40]]), 40, 30).cropped(
        torch.tensor([[5.0, 5, 15, 25]]), 10, 20
    )
    once = cameras.cropped(torch.tensor([[15.0, 15, 25, 35]]), 10, 20)
    torch.testing.assert_close(twice.Ks, once.Ks)


def test_a_path_passes_through_its_views_and_turns_evenly():
    cameras = orbit(views=8)[:5]
    path = cameras.interpolate(41)
    torch.testing.assert_close(path[::10].viewmats, cameras.viewmats, atol=1e-4, rtol=0)
    rotations = path.viewmats[:, :3, :3]
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), torch.eye(3).expand(41, 3, 3), atol=1e-5, rtol=0)
    steps = Rotation.from_matrix((rotations[1:] @ rotations[:-1].transpose(1, 2)).numpy()).magnitude()
    # Four times 45 degrees over 40 steps, less what a tilted camera need not turn.
    assert steps.max() < 1.5 * steps.mean()
    assert len(cameras[0].interpolate(3)) == 3


def test_indexing_keeps_a_batch():
    cameras = orbit()
    assert len(cameras[2]) == len(cameras[-1]) == 1
    torch.testing.assert_close(cameras[[4, 0]].viewmats, cameras.viewmats[[4, 0]])
    torch.testing.assert_close(cameras[torch.tensor([1, 3])].Ks, cameras.Ks[[1, 3]])
    assert len(cameras[1:4]) == 3
    assert len(list(cameras)) == 5
    joined = Cameras.concatenated(list(cameras))
    torch.testing.assert_close(joined.viewmats, cameras.viewmats)
    assert cameras.to("cpu").device == torch.device("cpu")
    with pytest.raises(IndexError):
        cameras[5]


def test_wrong_cameras_are_refused_with_what_was_expected():
    eyes, Ks = torch.eye(4).repeat(2, 1, 1), torch.eye(3).repeat(2, 1, 1)
    with as_users_run_it(), pytest.raises(ValueError, match=r"\[views, 4, 4\], got \[2, 3, 4\]"):
        Cameras(eyes[:, :3], Ks, 4, 4)
    with as_users_run_it(), pytest.raises(ValueError, match=r"\[2, 3, 3\] like viewmats, got \[1, 3, 3\]"):
        Cameras(eyes, Ks[:1], 4, 4)
    with pytest.raises(ValueError, match="width 0"):
        Cameras(eyes, Ks, 0, 4)
    with pytest.raises(ValueError, match=r"boxes \[2, 4\], got \[1, 4\]"):
        Cameras(eyes, Ks, 4, 4).cropped(torch.zeros(1, 4), 4, 4)
    with pytest.raises(ValueError, match="x0 < x1"):
        Cameras(eyes, Ks, 4, 4).cropped(torch.tensor([[0.0, 0, 4, 4], [3, 0, 3, 4]]), 4, 4)
    with pytest.raises(ValueError, match="looks along up"):
        Cameras.looking_at(torch.tensor([[0.0, 0, 5]]), torch.zeros(3), 4, 4)
    with pytest.raises(ValueError, match="one size"):
        Cameras.concatenated([orbit(), orbit(width=32)])


def nearest(count: int, at_most: int) -> list[int]:
    """The definition, in fractions: number i of m stands nearest to i (count - 1) / (m - 1), halves rounded up."""
    if at_most >= count:
        return list(range(count))
    places = [Fraction(number * (count - 1), max(at_most - 1, 1)) for number in range(at_most)]
    return [math.floor(place + Fraction(1, 2)) for place in places]


@given(st.integers(1, 400), st.integers(1, 60))
def test_evenly_spread_numbers_are_the_nearest_to_equal_steps(count, at_most):
    numbers = evenly_spread(count, at_most)
    assert numbers == nearest(count, at_most)
    assert len(set(numbers)) == min(count, at_most)
    assert numbers[0] == 0 and (at_most == 1 or numbers[-1] == count - 1)


def test_evenly_spread_views_by_hand():
    assert evenly_spread(10, 4) == [0, 3, 6, 9]
    assert evenly_spread(8, 3) == [0, 4, 7]
    assert evenly_spread(5, 1) == [0]
    assert evenly_spread(3, 9) == [0, 1, 2]
    with pytest.raises(ValueError, match="At least one"):
        evenly_spread(3, 0)


def test_a_batch_is_thinned_evenly_and_shrunk_in_its_format():
    cameras = Cameras.orbit((0.0, 0.0, 0.0), 2.0, 10, 640, 480)
    assert torch.equal(cameras.evenly(4).viewmats, cameras.viewmats[[0, 3, 6, 9]])
    assert len(cameras.evenly(24)) == 10
    small = cameras.shrunk(64)
    assert (small.width, small.height) == (64, 48)
    torch.testing.assert_close(small.Ks[:, 0, 0], cameras.Ks[:, 0, 0] / 10)
    same = cameras.shrunk(1000)
    assert (same.width, same.height) == (640, 480) and torch.equal(same.Ks, cameras.Ks)


def test_what_a_camera_sees_lies_before_it_and_inside_its_picture():
    """At the origin, looking along z, 90 degrees wide: x and y up to z."""
    camera = Cameras(torch.eye(4)[None], torch.tensor([[[50.0, 0, 50], [0, 50, 50], [0, 0, 1]]]), 100, 100)
    points = torch.tensor([[0.0, 0, 1], [0.9, -0.9, 1], [1.1, 0, 1], [0, 0, -1], [1.9, 0, 2]])
    assert camera.see(points).tolist() == [True, True, False, False, True]


# --- up -----------------------------------------------------------------------------------------------------------


def _degrees(one: torch.Tensor, other: tuple[float, ...]) -> float:
    return math.degrees(math.acos(max(-1.0, min(1.0, float(one @ torch.tensor(other))))))


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (0.6, 0.0, 0.8)])
@pytest.mark.parametrize("elevation", [-20.0, 0.0, 35.0, 80.0])
@pytest.mark.parametrize("seen", [slice(0, 24), slice(0, 6)], ids=["all around", "from one side"])
def test_up_is_where_the_cameras_were_held_upright_however_they_look_down(up, elevation, seen):
    assert _degrees(orbit(views=24, elevation_degrees=elevation, up=up)[seen].up, up) < 0.1


def test_views_that_are_only_shifted_have_the_up_of_their_pictures():
    one = orbit(views=8, elevation_degrees=30.0)[0]
    shifted = one[[0] * 5]
    shifted.viewmats[:, :2, 3] += torch.linspace(-1, 1, 5)[:, None]
    assert _degrees(shifted.up, (-0.5, 0.0, math.sqrt(0.75))) < 0.1
    assert _degrees(one.up, (-0.5, 0.0, math.sqrt(0.75))) < 0.1


def test_cameras_that_are_held_any_way_have_an_up_all_the_same():
    up = random_cameras(3, 12).up
    assert float(up.norm()) == pytest.approx(1.0, abs=1e-5)
