"""A click finds the point that the picture shows."""

import math

import pytest
import torch
from shared_scenes import blobs, toy

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.picking import pick, pick_ray, rotations_of, seen_at


def test_a_click_lands_where_the_rendered_depth_is():
    """On the statue's pixels, against the rasterizer's expected depth; rows are the statue's."""
    scene = toy()
    camera = scene.test_cameras[0]
    mask = scene.masks(camera)[0]
    depth = render(scene.gaussians, camera, render_mode="RGB+ED")[0][0, ..., 3]
    solid = (mask > 0.99).nonzero()
    errors = []
    for y, x in solid[:: len(solid) // 40].tolist():
        picked = pick(scene.gaussians, camera, x + 0.5, y + 0.5)
        assert scene.object_weights[picked.row] == 1
        point = camera.viewmats[0, :3, :3] @ picked.position + camera.viewmats[0, :3, 3]
        projected = camera.Ks[0] @ point / point[2]
        torch.testing.assert_close(projected[:2], torch.tensor([x + 0.5, y + 0.5]), atol=0.01, rtol=0)
        errors.append(abs(float(point[2] - depth[y, x])))
    assert torch.tensor(errors).median() < 0.01
    assert torch.tensor(errors).quantile(0.9) < 0.05


def test_the_color_is_the_pictures():
    """On a scene without view dependence: there the eyedropper must be exact, up to the rasterizer's approximations."""
    scene = toy()
    matte, camera = scene.gaussians.with_sh_degree(0), scene.test_cameras[1]
    image = render(matte, camera)[0][0]
    mask = scene.masks(camera)[0]
    for y, x in (mask > 0.99).nonzero()[::400].tolist():
        picked = pick(matte, camera, x + 0.5, y + 0.5)
        torch.testing.assert_close(picked.color, image[y, x].clamp(0, 1), atol=0.08, rtol=0)


def test_by_hand_the_nearer_of_two_and_through_a_thin_veil():
    points = torch.tensor([[0.0, 0, 2], [0, 0, 3], [0, 0, -1]])
    along = (torch.zeros(3), torch.tensor([0.0, 0, 5]))
    wall = blobs(points, 0.1, opacity=0.95)
    assert pick_ray(wall, *along).row == 0
    torch.testing.assert_close(pick_ray(wall, *along).position, points[0], atol=1e-5, rtol=0)
    veil = Gaussians(
        wall.means, wall.quats, wall.log_scales, torch.tensor([0.2, 0.95, 0.95]).logit(), wall.sh_dc, wall.sh_rest
    )
    assert pick_ray(veil, *along).row == 1
    assert pick_ray(veil, torch.zeros(3), torch.tensor([0.0, 0, -1])).row == 2


def test_a_tilted_disc_is_hit_on_its_surface_and_not_at_its_centres_depth():
    """A disc at 45 degrees through (0, 0, 2): the ray along z at x = 0.3 meets it at z = 2.3."""
    half = math.radians(-22.5)
    disc = Gaussians(
        torch.tensor([[0.0, 0, 2]]),
        torch.tensor([[math.cos(half), 0, math.sin(half), 0]]),
        torch.tensor([[1.0, 1.0, 0.001]]).log(),
        torch.tensor([0.999]).logit(),
        torch.zeros(1, 3),
        torch.zeros(1, 0, 3),
    )
    hit = pick_ray(disc, torch.tensor([0.3, 0, 0]), torch.tensor([0.0, 0, 1]), spread=1e-6)
    torch.testing.assert_close(hit.position, torch.tensor([0.3, 0, 2.3]), atol=1e-3, rtol=0)


def test_rotations_are_those_of_scipy():
    from scipy.spatial.transform import Rotation

    quats = torch.randn(20, 4)
    expected = Rotation.from_quat(quats[:, [1, 2, 3, 0]].numpy()).as_matrix()
    torch.testing.assert_close(rotations_of(quats), torch.from_numpy(expected).float(), atol=1e-6, rtol=0)


def test_the_sky_and_places_outside_the_picture_are_refused_in_words():
    scene = blobs(torch.tensor([[0.0, 0, 2]]), 0.1, opacity=0.95)
    camera = Cameras.looking_at(torch.zeros(1, 3), torch.tensor([0.0, 0, 2]), 64, 64, up=(0, -1, 0))
    assert pick(scene, camera, 32, 32).row == 0
    with pytest.raises(ValueError, match=r"Nothing solid there \(sky"):
        pick(scene, camera, 2, 2)
    with pytest.raises(ValueError, match=r"Nothing solid there"):
        pick_ray(scene, torch.zeros(3), torch.tensor([0.0, 0, -1]))
    with pytest.raises(ValueError, match=r"\(70, 3\) lies outside the image of 64 x 64"):
        pick(scene, camera, 70, 3)
    with pytest.raises(ValueError, match="one view, got 6"):
        pick(scene, toy().test_cameras, 1, 1)


def test_a_point_is_told_by_a_view_that_shows_it():
    """A blob behind a wall for the camera that has it in its very middle; another camera sees it, off its middle."""
    grid, up = torch.arange(-1, 1.1, 0.1), (0.0, -1.0, 0.0)
    wall = torch.cartesian_prod(grid, grid, torch.ones(1))
    point, beside = torch.tensor([0.0, 0.0, 3.0]), torch.tensor([[3.0, 0.0, 3.0]])
    scene = blobs(torch.cat([wall, point[None]]), 0.1, 0.99)
    front = Cameras.looking_at(torch.zeros(1, 3), point, 64, 64, 50.0, up)
    side = Cameras.looking_at(beside, point + 0.4, 64, 64, 50.0, up)
    away = Cameras.looking_at(beside, 2 * beside[0], 64, 64, 50.0, up)
    found = seen_at(scene, Cameras.concatenated([front, away, side]), point)
    assert found is not None and found[0] == 2
    assert pick(scene, side, *found[1:]).row == len(wall)
    assert seen_at(scene, Cameras.concatenated([front, away]), point) is None


@pytest.mark.parametrize("pixel", [(0.5, 0.5), (63.5, 0.5), (0.5, 63.5), (32.0, 0.25)])
def test_a_point_in_the_outermost_pixels_is_in_the_picture(pixel):
    camera = Cameras.looking_at(torch.zeros(1, 3), torch.tensor([0.0, 0, 3]), 64, 64, 50.0, (0.0, -1.0, 0.0))
    along = torch.linalg.inv(camera.Ks[0]) @ torch.tensor([*pixel, 1.0])
    point = torch.linalg.inv(camera.viewmats[0])[:3, :3] @ (3 * along)
    found = seen_at(blobs(point[None], 0.1, 0.99), camera, point)
    assert found is not None and found[1:] == pytest.approx(pixel, abs=1e-3)
