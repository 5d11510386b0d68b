"""Agreement between views: warping and footprints, against scenes whose answers are known."""

import math

import pytest
import torch
from scipy.ndimage import map_coordinates

from fasttext2style.evaluation.footprints import footprint_deviation
from fasttext2style.evaluation.warping import unproject, warp
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import rasterize, render

SIZE = 32


def _frontal(x: float, z: float = 0.0, focal: float = 32.0) -> Cameras:
    """Looks along +z from (x, 0, z)."""
    viewmat = torch.eye(4)
    viewmat[0, 3], viewmat[2, 3] = -x, -z
    K = torch.tensor([[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1.0]])
    return Cameras(viewmat[None], K[None], SIZE, SIZE)


def _picture() -> torch.Tensor:
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").permute(0, 2, 3, 1)


def test_a_step_sideways_shifts_a_wall_by_its_disparity():
    # A wall at depth 4, focal 32: a step of 0.25 moves it by 32 * 0.25 / 4 = 2 pixels.
    wall, picture = torch.full((1, SIZE, SIZE), 4.0), _picture()
    warped, known = warp(picture, _frontal(0.25), wall, _frontal(0.0), wall)
    # What the view at 0 has in column c, the one at 0.25 has in column c - 2.
    torch.testing.assert_close(warped[:, :, 2:], picture[:, :, :-2], atol=1e-4, rtol=0)
    assert bool(known[:, 1:-1, 3:].all())
    assert not bool(known[:, :, :2].any())


def test_bilinear_reading_equals_scipy():
    wall, picture = torch.full((1, SIZE, SIZE), 4.0), _picture()
    warped, _ = warp(picture, _frontal(0.07), wall, _frontal(0.0), wall)
    rows, columns = torch.meshgrid(torch.arange(SIZE).float(), torch.arange(SIZE) - 32 * 0.07 / 4, indexing="ij")
    for channel in range(3):
        expected = map_coordinates(picture[0, ..., channel].numpy(), [rows.numpy(), columns.numpy()], order=1)
        inner = warped[0, 2:-2, 2:-2, channel].numpy()
        assert abs(inner - expected[2:-2, 2:-2]).max() < 1e-4


def test_what_the_other_view_sees_at_another_depth_is_not_known():
    far, near = torch.full((1, SIZE, SIZE), 4.0), torch.full((1, SIZE, SIZE), 4.0)
    near[:, 10:20, 10:20] = 2.0
    _, known = warp(_picture(), _frontal(0.0), near, _frontal(0.0), far)
    assert not bool(known[:, 10:20, 10:20].any())
    assert bool(known[:, :9, 1:-1].all())


def test_points_behind_the_other_camera_are_not_known():
    wall = torch.full((1, SIZE, SIZE), 4.0)
    _, known = warp(_picture(), _frontal(0.0, z=5.0), wall, _frontal(0.0), wall)
    assert not bool(known.any())


def test_unprojected_points_project_back_to_their_pixels():
    cameras = Cameras.orbit((0.1, 0.2, 0.3), 3.0, 3, SIZE, SIZE, elevation_degrees=25.0)
    depths = 1 + torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    points = unproject(cameras, depths).flatten(1, 2)
    local = points @ cameras.viewmats[:, :3, :3].transpose(1, 2) + cameras.viewmats[:, None, :3, 3]
    pixels = (local @ cameras.Ks.transpose(1, 2))[..., :2] / local[..., 2:]
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    torch.testing.assert_close(pixels, torch.stack([x, y], -1).flatten(0, 1).expand(3, -1, 2), atol=1e-3, rtol=0)
    torch.testing.assert_close(local[..., 2], depths.flatten(1), atol=1e-5, rtol=0)


def _ball(sh_rest: float = 0.0) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    means = torch.nn.functional.normalize(torch.randn(120, 3, generator=generator), dim=1) * 0.4
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(120, 1),
        log_scales=torch.full((120, 3), math.log(0.06)),
        logit_opacities=torch.full((120,), 4.0),
        sh_dc=torch.zeros(120, 3),
        sh_rest=torch.full((120, 3, 3), sh_rest),
    )


def test_views_of_one_colour_each_deviate_by_hand():
    ball, everything = _ball(), torch.ones(120, dtype=torch.bool)
    cameras = Cameras.orbit((0.0, 0, 0), 2.0, 1, SIZE, SIZE)[[0, 0]]
    pictures = torch.zeros(2, SIZE, SIZE, 3)
    assert footprint_deviation(ball, cameras, pictures, everything) == 0
    pictures[1] = 1.0
    assert footprint_deviation(ball, cameras, pictures, everything) == pytest.approx(0.5, abs=1e-6)
    pictures[1, ..., 1:] = 0.0  # red alone: a variance of 0.25 in one of three channels
    assert footprint_deviation(ball, cameras, pictures, everything) == pytest.approx((0.25 / 3) ** 0.5, abs=1e-6)


def test_footprint_deviation_equals_a_plain_loop_with_dense_weights():
    ball = _ball().subset(torch.arange(8))
    cameras = Cameras.orbit((0.0, 0, 0), 2.0, 3, 16, 16)
    pictures = torch.rand(3, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    colors, weights = torch.zeros(8, 3, 3).double(), torch.zeros(8, 3).double()
    for row in range(8):
        # The share of one Gaussian in each pixel: the scene rendered with that one white and all others black.
        white = torch.zeros(8, 1)
        white[row] = 1
        share = rasterize(
            ball.means, ball.quats, ball.scales, ball.opacities, white, cameras.viewmats, cameras.Ks, 16, 16
        )[0].double()
        weights[row] = share.sum((1, 2, 3))
        colors[row] = (share * pictures).sum((1, 2)) / weights[row][:, None].clamp_min(1e-9)
    numerator = denominator = 0.0
    for row in range(8):
        seen = weights[row] > 0.05
        if int(seen.sum()) < 2:
            continue
        w, c = weights[row][seen], colors[row][seen]
        mean = (w[:, None] * c).sum(0) / w.sum()
        numerator += float((w[:, None] * (c - mean).square()).sum(0).mean())
        denominator += float(w.sum())
    ours = footprint_deviation(ball, cameras, pictures, torch.ones(8, dtype=torch.bool))
    assert ours == pytest.approx((numerator / denominator) ** 0.5, rel=1e-4)


def test_view_dependent_colours_deviate_more():
    cameras = Cameras.orbit((0.0, 0, 0), 2.0, 6, SIZE, SIZE)
    everything = torch.ones(120, dtype=torch.bool)
    plain, glossy = _ball(), _ball(sh_rest=0.4)
    deviations = [
        footprint_deviation(scene, cameras, render(scene, cameras, background=torch.full((3,), 0.5))[0], everything)
        for scene in (plain, glossy)
    ]
    assert deviations[0] < 1e-3
    assert deviations[1] > 0.05


def test_gaussians_that_one_view_alone_sees_do_not_count():
    ball = _ball()
    cameras = Cameras.orbit((0.0, 0, 0), 2.0, 2, SIZE, SIZE)
    assert math.isnan(
        footprint_deviation(ball, cameras[0], torch.rand(1, SIZE, SIZE, 3), torch.ones(120, dtype=torch.bool))
    )
