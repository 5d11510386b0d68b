"""Masks become selections: exactly where every Gaussian shows, and robustly where masks are few or wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from shared_scenes import blobs, held_out_iou, toy

from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection.lifting import lift_masks, mask_shares, without_outliers


def toy_masks():
    scene = toy()
    return scene, (scene.masks(scene.train_cameras) > 0.5).float()


def grown(masks: torch.Tensor, pixels: int) -> torch.Tensor:
    """Masks wider, or with negative pixels narrower."""
    operation = ndimage.binary_dilation if pixels > 0 else ndimage.binary_erosion
    return torch.from_numpy(operation(masks.numpy() > 0.5, np.ones((1, 3, 3)), iterations=abs(pixels))).float()


@pytest.mark.parametrize(("every", "expected"), [(1, 0.995), (3, 0.99), (8, 0.93)])
def test_lifting_finds_the_object_from_24_8_and_3_views(every, expected):
    scene, masks = toy_masks()
    selection = lift_masks(scene.gaussians, scene.train_cameras[::every], masks[::every])
    assert held_out_iou(scene, selection.weights) > expected
    assert selection.origin == f"masks of {len(masks[::every])} views"


@pytest.mark.parametrize(("pixels", "expected"), [(2, 0.93), (-2, 0.9)])
def test_lifting_forgives_masks_that_are_too_wide_or_too_narrow(pixels, expected):
    scene, masks = toy_masks()
    selection = lift_masks(scene.gaussians, scene.train_cameras, grown(masks, pixels))
    assert held_out_iou(scene, selection.weights) > expected


def test_one_wrong_mask_among_many_is_outvoted():
    scene, masks = toy_masks()
    masks[5] = 1 - masks[5]
    assert held_out_iou(scene, lift_masks(scene.gaussians, scene.train_cameras, masks).weights) > 0.98


def test_a_mask_and_its_complement_share_each_visible_gaussian():
    scene, masks = toy_masks()
    cameras, soft = scene.train_cameras[:4], 0.8 * masks[:4] + 0.1
    inside = mask_shares(scene.gaussians, cameras, soft)
    outside = mask_shares(scene.gaussians, cameras, 1 - soft)
    seen = mask_shares(scene.gaussians, cameras, torch.ones_like(soft)) > 0
    torch.testing.assert_close((inside + outside)[seen], torch.ones(int(seen.sum())), atol=1e-4, rtol=0)
    assert not inside[~seen].any()
    assert 0.3 < seen.float().mean() < 0.9


def test_shares_by_hand_two_gaussians_one_behind_the_other():
    """On the axis between two cameras that face each other, opacity 0.5, equally large on both screens.

    A camera sees the nearer one with weight 0.5 and the other with 0.5 x 0.5 in the central pixel, and has only that
    pixel in its mask or nothing: of the weight there the nearer one has two thirds inside, the farther one a third.
    """
    scene = blobs(torch.tensor([[0.0, 0, 3.0], [0, 0, 3.001], [0, 0, -50.0]]), 1e-4, opacity=0.5)
    facing = torch.eye(4).repeat(2, 1, 1)
    facing[1, :3, :3] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    facing[1, 2, 3] = 6.0
    K = torch.tensor([[30.0, 0, 8.5], [0, 30, 8.5], [0, 0, 1]]).repeat(2, 1, 1)
    cameras, masks = Cameras(facing, K, 17, 17), torch.zeros(2, 17, 17)
    masks[0] = 1
    central = cameras.cropped(torch.tensor([[8.0, 8, 9, 9]] * 2), 1, 1)
    nearer, farther, _ = mask_shares(scene, central, masks[:, :1, :1]).tolist()
    assert nearer == pytest.approx(2 / 3, abs=2e-3)
    assert farther == pytest.approx(1 / 3, abs=2e-3)
    # The last one stands behind camera 0, where no view of this batch looks.
    assert mask_shares(scene, central[:1], masks[:1, :1, :1])[2] == 0


def test_masks_that_do_not_fit_the_views_are_refused():
    scene, masks = toy_masks()
    with pytest.raises(ValueError, match=r"\[24, 128, 128\] like the cameras, got \[24, 64, 128\].*resized"):
        lift_masks(scene.gaussians, scene.train_cameras, masks[:, :64])
    with pytest.raises(ValueError, match=r"lie in \[0, 1\].*divide 8 bit masks by 255"):
        lift_masks(scene.gaussians, scene.train_cameras, 255 * masks)


def test_empty_masks_select_nothing_and_that_is_said():
    scene, masks = toy_masks()
    with pytest.raises(ValueError, match="Nothing is selected"):
        lift_masks(scene.gaussians, scene.train_cameras, torch.zeros_like(masks)).check_usable()


def test_the_outlier_statistic_is_that_of_a_plain_double_loop():
    points = torch.cat([torch.randn(200, 3), 30 * torch.randn(6, 3)])
    distances = torch.cdist(points.double(), points.double()).sort(dim=1).values[:, 1:11].mean(dim=1).numpy()
    deviation = max(1.4826 * np.median(np.abs(distances - np.median(distances))), 0.1 * np.median(distances))
    expected = torch.from_numpy(distances <= np.median(distances) + 4 * deviation)
    kept = without_outliers(points, torch.ones(206, dtype=torch.bool), neighbours=10, ratio=4.0)
    assert torch.equal(kept, expected)
    assert 0 < int((~kept).sum()) < 30


@given(count=st.integers(0, 200), far=st.integers(0, 3), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_outliers_go_and_a_compact_object_of_any_size_stays(count, far, seed):
    generator = torch.Generator().manual_seed(seed)
    means = torch.cat([torch.rand(count, 3, generator=generator), 100 + 50 * torch.rand(far, 3, generator=generator)])
    chosen = torch.ones(count + far, dtype=torch.bool)
    kept = without_outliers(means, chosen)
    assert chosen.all()  # the argument is not changed
    if count >= 40:
        assert kept[:count].float().mean() > 0.95
        assert not kept[count:].any()
    if count + far <= 3:
        assert kept.all()


def test_an_evenly_spaced_object_loses_nothing():
    grid = torch.cartesian_prod(*[torch.arange(12.0)] * 3)
    assert without_outliers(grid, torch.ones(len(grid), dtype=torch.bool)).all()


def test_only_chosen_gaussians_count_as_neighbours():
    means = torch.cat([torch.rand(100, 3), 50 + torch.rand(100, 3)])
    chosen = torch.arange(200) < 101
    kept = without_outliers(means, chosen)
    assert kept[:100].float().mean() > 0.95
    assert not kept[100:].any()
