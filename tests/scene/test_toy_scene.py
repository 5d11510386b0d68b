"""The demo scene: the same every time, known exactly, and a real dataset for nerfstudio."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from random_scene import assert_equal

from fasttext2style.scene.rasterize import contributions, render
from fasttext2style.toy import geometry as toy_geometry
from fasttext2style.toy.scene import FOCUS, ToyScene, toy_scene, write_dataset


@pytest.fixture(scope="module")
def scene() -> ToyScene:
    return toy_scene(width=96, height=80)


@pytest.fixture(scope="module")
def bare_scene() -> ToyScene:
    return toy_scene(clutter=0, width=96, height=80)


@pytest.fixture(scope="module")
def cluttered_scene() -> ToyScene:
    return toy_scene(clutter=2, width=96, height=80)


@pytest.fixture(scope="module")
def dataset(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write_dataset(scene, folder, masks=True)
    return folder


def test_the_same_seed_gives_the_same_scene_in_about_a_second():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other count as work on a busy machine
    scene = toy_scene(width=96, height=80)
    start = time.process_time()
    again = toy_scene(width=96, height=80)
    took = time.process_time() - start
    torch.set_num_threads(threads)
    assert took < 5
    assert_equal(again.gaussians, scene.gaussians)
    assert not torch.equal(toy_scene(seed=1, clutter=0).gaussians.means[:100], scene.gaussians.means[:100])


def test_the_scene_is_a_small_capture(scene):
    assert 20_000 < len(scene.gaussians) < 45_000
    assert not scene.gaussians.invalid_rows()
    assert (len(scene.train_cameras), len(scene.test_cameras)) == (24, 6)
    assert set(scene.object_weights.tolist()) == {0.0, 1.0}
    distances = (scene.train_cameras.centers[:, None] - scene.test_cameras.centers).norm(dim=2)
    assert distances.min() > 0.2


def test_more_clutter_is_more_gaussians_around_the_same_statue(scene, bare_scene, cluttered_scene):
    assert len(bare_scene.gaussians) < len(scene.gaussians) < len(cluttered_scene.gaussians)
    for other in (bare_scene, cluttered_scene):
        assert torch.equal(other.object_weights.sum(), scene.object_weights.sum())
        assert torch.equal(other.gaussians.means[:1000], scene.gaussians.means[:1000])


def test_every_view_is_filled_and_looks_at_the_statue(scene):
    cameras = scene.test_cameras
    images, alphas, _ = render(scene.gaussians, cameras)
    assert alphas.mean() > 0.995
    assert images.std() > 0.1
    masks = scene.masks(cameras)
    assert ((masks > 0.5).float().mean(dim=(1, 2)) > 0.1).all()
    assert (masks[:, 35:45, 43:53].mean(dim=(1, 2)) > 0.9).all()
    in_camera = cameras.viewmats[:, :3, :3] @ torch.tensor(FOCUS) + cameras.viewmats[:, :3, 3]
    assert (in_camera[:, :2].abs() < 1e-4).all()


def test_masks_are_the_statues_share_of_each_pixel(scene):
    """The image of the whole scene with the statue's colours changed differs by exactly mask x change."""
    cameras = scene.test_cameras[0]
    shifted = scene.gaussians.sh_dc + scene.object_weights[:, None]
    white = replace(scene.gaussians, sh_dc=shifted)
    before, after = render(scene.gaussians, cameras)[0], render(white, cameras)[0]
    change = (after - before)[..., 0] / toy_geometry.SH_C0
    torch.testing.assert_close(change, scene.masks(cameras), atol=2e-3, rtol=0)
    assert scene.masks(cameras).min() >= 0


def test_what_hides_the_statue_is_not_in_its_mask(bare_scene, cluttered_scene):
    """The posts of clutter 2 stand before the statue in some view, and cut its mask there."""
    cameras = bare_scene.train_cameras
    lost = (bare_scene.masks(cameras) - cluttered_scene.masks(cameras)).sum(dim=(1, 2))
    assert lost.max() > 50
    assert lost.min() > -5


def test_the_statue_gets_its_contributions_within_its_mask(scene):
    cameras = scene.train_cameras[::6]
    masks = scene.masks(cameras)
    inside, outside = contributions(scene.gaussians, cameras, torch.stack([masks, 1 - masks], dim=-1)).unbind(dim=1)
    on = scene.object_weights > 0
    assert inside[on].sum() > 0.95 * (inside + outside)[on].sum()
    assert inside[~on].sum() < 0.05 * (inside + outside)[~on].sum()


def test_distances_have_the_sign_and_size_by_hand():
    points = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 0, 3]])
    ball = toy_geometry.ellipsoid((0, 0, 0), (1, 1, 1))(points + torch.tensor([0.5, 0, 0]))
    torch.testing.assert_close(ball, torch.tensor([-0.5, 1.5, 9.25**0.5 - 1]))
    box = toy_geometry.rounded_box((0, 0, 0), (1, 0.5, 0.5), 0.1)(points)
    torch.testing.assert_close(box, torch.tensor([-0.5, 1.0, 2.5]))
    turned = toy_geometry.rounded_box((0, 0, 0), (1, 0.5, 0.5), 0.1, turn=torch.pi / 2)(points)
    torch.testing.assert_close(turned, torch.tensor([-0.5, 1.5, 2.5]))
    torch.testing.assert_close(
        toy_geometry.to_srgb(torch.tensor([[0.0, 0.21404, 1.0]])), torch.tensor([[0.0, 0.5, 1.0]])
    )


def test_sampled_points_lie_on_the_surface_and_spread_evenly():
    ball = toy_geometry.ellipsoid((0, 0, 0), (1, 1, 1))
    points = toy_geometry.sample_surface(ball, (-1.1,) * 3, (1.1,) * 3, 2000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(points.norm(dim=1), torch.ones(2000), atol=1e-3, rtol=0)
    octants = ((points > 0) * torch.tensor([1, 2, 4])).sum(dim=1).bincount()
    assert octants.min() > 200


def test_gaussians_of_a_surface_are_thin_along_its_normal():
    normals = torch.nn.functional.normalize(torch.randn(50, 3), dim=1)
    flat = toy_geometry.flat_gaussians(torch.randn(50, 3), normals, torch.rand(50, 3), torch.full((50, 2), 0.1))
    rotations = toy_geometry.Rotation.from_quat(flat.quats[:, [1, 2, 3, 0]].numpy()).as_matrix()
    np.testing.assert_allclose(rotations[:, :, 2], normals.numpy(), atol=1e-5)
    assert (flat.scales.argmin(dim=1) == 2).all()


def test_the_dataset_is_photographs_masks_and_points(dataset, scene):
    images = sorted(path.name for path in (dataset / "images").iterdir())
    assert len(images) == 30
    assert sorted(path.name for path in (dataset / "masks").iterdir()) == images
    photo = torch.from_numpy(np.array(Image.open(dataset / "images" / "test_002.png"))) / 255
    expected, _, _ = render(scene.gaussians, scene.test_cameras[2])
    torch.testing.assert_close(photo, expected[0].clamp(0, 1), atol=0.5 / 255 + 1e-6, rtol=0)
