"""Losses of a step against values that one can check by hand."""

import math

import pytest
import torch
from torch.nn.functional import mse_loss

from fasttext2style.rounds.losses import (
    CHARBONNIER_EPSILON,
    LossConfig,
    charbonnier,
    gaussian_losses,
    load_perceptual_loss,
    mean_inside,
    picture_losses,
    view_dependence_change,
)
from fasttext2style.scene.rasterize import render
from tests.ball import ball_on_floor


def _pictures():
    images, targets, originals = (torch.rand(2, 8, 8, 3, requires_grad=number == 0) for number in range(3))
    masks = torch.zeros(2, 8, 8, 1)
    masks[:, 2:5, 3:6] = 1
    return images, targets, originals, masks


def test_inside_is_compared_with_the_edit_and_outside_with_the_original():
    images, targets, originals, masks = _pictures()
    losses = picture_losses(LossConfig(l2_weight=2.0, preservation_weight=3.0), images, targets, originals, masks, None)
    inside = (slice(None), slice(2, 5), slice(3, 6))
    assert losses["photometric"].item() == pytest.approx((images - targets)[inside].abs().mean().item(), rel=1e-5)
    assert losses["l2"].item() == pytest.approx(2 * mse_loss(images[inside], targets[inside]).item(), rel=1e-5)
    outside = (masks[..., 0] == 0).nonzero(as_tuple=True)
    drift = (images - originals)[outside].abs().mean().item()
    assert losses["preservation"].item() == pytest.approx(3 * drift, rel=1e-5)


def test_weights_and_the_kind_of_distance_are_as_configured():
    images, targets, originals, masks = _pictures()
    config = LossConfig(photometric="charbonnier", photometric_weight=0.5, lpips_weight=3.0, preservation_weight=0.0)
    losses = picture_losses(config, images, targets, originals, masks, lambda a, b: (a - b).abs().mean())
    # sqrt(x^2 + e^2) - e, averaged over the 2 x 9 pixels and 3 channels of the region
    x = (images - targets)[:, 2:5, 3:6].double()
    expected = ((x**2 + CHARBONNIER_EPSILON**2) ** 0.5 - CHARBONNIER_EPSILON).sum() / 54
    assert losses["photometric"].item() == pytest.approx(0.5 * expected.item(), rel=1e-4)
    assert losses["lpips"].item() == pytest.approx(3 * x.abs().sum().item() / (2 * 64 * 3), rel=1e-5)
    assert losses["preservation"].item() == 0 and "l2" not in losses


def test_unless_it_is_told_otherwise_what_is_outside_weighs_as_much_as_what_is_inside():
    _, targets, _, masks = _pictures()
    losses = picture_losses(LossConfig(), targets + 0.25, targets, targets, masks, lambda a, b: (a - b).abs().max())
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {"photometric": 0.25, "preservation": 0.25, "lpips": 0.25}
    )


def test_no_pixel_pulls_where_it_should_not():
    images, targets, originals, masks = _pictures()
    losses = picture_losses(LossConfig(), images, targets, originals, masks, lambda a, b: (a - b).abs().mean())
    for name, inside in (("photometric", True), ("lpips", True), ("preservation", False)):
        (gradient,) = torch.autograd.grad(losses[name], images, retain_graph=True)
        moved = gradient.abs().sum(dim=-1, keepdim=True) > 0
        assert torch.equal(moved, masks.bool() if inside else ~masks.bool()), name


def test_charbonnier_is_l1_with_a_round_bottom():
    assert charbonnier(torch.zeros(1)).item() == 0
    assert charbonnier(torch.tensor([0.5])).item() == pytest.approx(0.5, abs=CHARBONNIER_EPSILON)
    x = torch.zeros(1, requires_grad=True)
    charbonnier(x).backward()
    assert x.grad.item() == 0


def test_an_empty_mask_costs_nothing():
    assert mean_inside(torch.ones(1, 2, 2, 3), torch.zeros(1, 2, 2, 1)).item() == 0


def test_view_dependence_by_hand():
    changed = torch.zeros(1, 15, 3)
    changed[0, 4, 1] = 1.0
    assert view_dependence_change(changed, torch.zeros(1, 15, 3)).item() == pytest.approx(1 / (4 * math.pi) / 3)


def test_view_dependence_is_the_variance_of_the_rendered_colour_over_directions():
    """Against renders of one Gaussian from many directions: its colour's variance, in the middle of the picture."""
    from fasttext2style.scene.cameras import Cameras
    from fasttext2style.scene.gaussians import Gaussians

    sh_rest = 0.2 * torch.randn(1, 15, 3)
    one = Gaussians(
        means=torch.zeros(1, 3),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        log_scales=torch.zeros(1, 3),
        logit_opacities=torch.tensor([20.0]),
        sh_dc=torch.full((1, 3), 8.0),  # so bright that no colour is cut off at 0
        sh_rest=sh_rest,
    )
    directions = torch.nn.functional.normalize(torch.randn(4000, 3), dim=1)
    cameras = Cameras.looking_at(directions * 4, torch.zeros(3), 1, 1, fov_degrees=5.0)
    images, alphas, _ = render(one, cameras)
    colors = (images / alphas)[:, 0, 0]
    expected = colors.var(dim=0).mean().item()
    assert view_dependence_change(sh_rest, torch.zeros_like(sh_rest)).item() == pytest.approx(expected, rel=0.1)


def test_penalties_only_on_groups_that_train():
    scene = ball_on_floor()
    everything = ("features_rest", "scales", "means", "opacities")
    assert set(gaussian_losses(scene, scene, everything, 0.1, 1.0)) == {
        "consistency", "scale_anchor", "position_anchor", "opacity_anchor",
    }  # fmt: skip
    assert set(gaussian_losses(scene, scene, ("features_dc", "features_rest"), 0.1, 1.0)) == {"consistency"}
    assert all(loss.item() == 0 for loss in gaussian_losses(scene, scene, everything, 0.1, 1.0).values())


def test_penalties_by_hand():
    """One of 300 Gaussians leaves its place by two of its sizes, or is e times as long on one axis."""
    scene = ball_on_floor()
    moved, long = scene.copy(), scene.copy()
    moved.means[7, 0] += 2 * scene.scales[7, 0]
    long.log_scales[7, 1] += 1
    losses = gaussian_losses(moved, scene, ("means",), 0.0, 0.5)
    assert losses["position_anchor"].item() == pytest.approx(0.5 * 4 / 300, rel=1e-4)
    assert gaussian_losses(long, scene, ("scales",), 0.0, 0.5)["scale_anchor"].item() == pytest.approx(0.5 / 3 / 300)
    # A needle, e^3 times as long: beyond 5 times the middle axis each e-fold counts again.
    long.log_scales[7, 1] += 2
    expected = (9 / 3 + (3 - math.log(5)) ** 2) / 300
    assert gaussian_losses(long, scene, ("scales",), 0.0, 1.0)["scale_anchor"].item() == pytest.approx(expected)
    clear = scene.copy()
    clear.logit_opacities[7] = -20.0  # from sigmoid(3) to 0
    cost = (1 / (1 + math.exp(-3))) ** 2 / 300
    assert gaussian_losses(clear, scene, ("opacities",), 0.0, 1.0)["opacity_anchor"].item() == pytest.approx(cost)
    assert gaussian_losses(clear, scene, ("opacities", "scales", "means"), 0.0, 0.0) == {}


def test_lpips_left_out_says_so_and_asked_for_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("fasttext2style.guidance.image_losses.reachable", lambda url: False)
    loss, warning = load_perceptual_loss(LossConfig(), "cpu")
    assert loss is None and "--pipeline.rounds.losses.lpips-weights" in warning
    with pytest.raises(ValueError, match="squeezenet1_1"):
        load_perceptual_loss(LossConfig(lpips="on"), "cpu")
    assert load_perceptual_loss(LossConfig(lpips="off"), "cpu") == (None, "")


def test_lpips_counts_only_the_region(shared_data):
    weights = next((shared_data / "weights").glob("squeezenet1_1*"))
    perceptual, _ = load_perceptual_loss(LossConfig(lpips_weights=str(weights)), "cpu")
    targets, masks = torch.rand(1, 64, 64, 3), torch.zeros(1, 64, 64, 1)
    masks[:, 20:44, 20:44] = 1
    images = torch.zeros(1, 64, 64, 3)
    outside_only = torch.where(masks.bool(), targets, images)
    config = LossConfig()
    assert picture_losses(config, outside_only, targets, targets, masks, perceptual)["lpips"].item() < 1e-6
    assert picture_losses(config, images, targets, targets, masks, perceptual)["lpips"].item() > 0.05
