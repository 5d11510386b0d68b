"""Pixels outside the object's mask: numbers that other libraries give, too, and halos where there are halos."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from fasttext2style.evaluation.edit import look
from fasttext2style.evaluation.halo import HALO, halo_warning, outside_picture, pixels_outside, widened
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import contributions
from fasttext2style.toy.scene import toy_scene

SIZE = 100
"""One hundredth of it is 1 pixel, so the rim is the least one: 2 pixels."""


def _square(side: int = 30) -> torch.Tensor:
    """[1, SIZE, SIZE] coverage: an opaque square in the middle."""
    coverage = torch.zeros(1, SIZE, SIZE)
    low = (SIZE - side) // 2
    coverage[:, low : low + side, low : low + side] = 1
    return coverage


def _grey(views: int = 1) -> torch.Tensor:
    return torch.full((views, SIZE, SIZE, 3), 0.5)


def _ring(inner: int, outer: int) -> torch.Tensor:
    """[1, SIZE, SIZE] pixels whose distance to the square is above `inner` and at most `outer`."""
    return (_square(30 + 2 * outer) - _square(30 + 2 * inner)) > 0


def test_psnr_and_shares_are_those_of_numpy_and_skimage():
    generator = torch.Generator().manual_seed(0)
    before = torch.rand(3, SIZE, SIZE, 3, generator=generator)
    after = (before + 0.02 * torch.randn(before.shape, generator=generator)).clamp(0, 1)
    coverage = torch.rand(3, SIZE, SIZE, generator=generator)
    coverage[0, 0, 0] = 0.5  # exactly one half is not the object
    found = pixels_outside(before, after, coverage)
    outside = coverage.numpy() <= 0.5
    one, other = (pictures.double().numpy()[outside] for pictures in (before, after))
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(one, other, data_range=1.0), abs=1e-4)
    assert found["share_changed"] == pytest.approx((np.abs(one - other).max(-1) > 2 / 255).mean(), abs=1e-6)
    assert found["share_of_pixels"] == pytest.approx(outside.mean(), abs=1e-6)


def test_what_changes_inside_the_mask_is_not_outside():
    after = torch.where(_square()[..., None] > 0.5, 1.0, _grey())
    found = pixels_outside(_grey(), after, _square())
    assert found["psnr"] == math.inf and found["share_changed"] == 0
    assert not found["halo"]["visible"] and halo_warning(found, "outside.png") == ""


@pytest.mark.parametrize(
    "region, change, visible",
    [
        (_ring(0, 2), 0.5, False),  # the object's own soft rim: two pixels
        (_ring(2, 4), 0.5, True),  # beyond it
        (_ring(2, 4), 7 / 255, False),  # too faint to be seen
        (_ring(2, 4), 9 / 255, True),
        (_ring(20, 22), 0.5, True),  # far away, too
    ],
    ids=["rim", "halo", "faint", "just visible", "far"],
)
def test_a_halo_is_what_is_seen_beyond_the_rim(region, change, visible):
    after = _grey() + region[..., None] * change
    found = pixels_outside(_grey(), after, _square())
    assert found["halo"]["visible"] is visible
    assert ("halo" in halo_warning(found, "outside.png")) is visible


def test_one_view_with_a_halo_is_enough_and_is_named():
    before, after = _grey(5), _grey(5)
    after[3] += _ring(2, 5)[0, ..., None] * 0.3
    found = pixels_outside(before, after, _square().expand(5, -1, -1))
    assert found["halo"]["view"] == 3 and found["halo"]["visible"]
    assert "view 3" in halo_warning(found, "outside.png")


def test_a_few_pixels_are_no_halo():
    outside = SIZE**2 - 30**2
    for pixels, visible in ((int(HALO * outside), False), (int(HALO * outside) + 1, True)):
        after = _grey()
        after[0, 5, :pixels] = 1
        assert pixels_outside(_grey(), after, _square())["halo"]["visible"] is visible


def test_an_object_that_fills_all_views_has_no_outside():
    found = pixels_outside(_grey(), _grey() + 0.1, torch.ones(1, SIZE, SIZE))
    assert math.isnan(found["psnr"]) and found["share_of_pixels"] == 0
    assert not found["halo"]["visible"]


def test_the_picture_shows_the_outside_eight_times_as_strong_and_the_views_that_changed_most():
    before, after = _grey(6), _grey(6)
    for view in (1, 2, 4, 5):
        after[view, 5, 5] += 0.05
    after[:, 50, 50] = 1  # in the object
    picture = outside_picture(before, after, _square().expand(6, -1, -1))
    assert picture.shape == (3 * (26 + SIZE), 4 * SIZE, 3)
    change = picture[-SIZE:]
    for column in range(4):
        view = change[:, column * SIZE : (column + 1) * SIZE]
        assert (view[5, 5] == round(8 * 0.05 * 255)).all() and (view[50, 50] == 128).all() and view[90, 5].max() == 0


def test_a_statue_that_turns_to_gold_has_no_halo_and_one_whose_rim_swells_has():
    scene = toy_scene(width=128, height=128, train_views=1, test_views=1, path_views=1)
    statue = scene.object_weights > 0
    before = look(scene.gaussians, statue, scene.test_cameras)
    gold = replace(scene.gaussians, sh_dc=scene.gaussians.sh_dc.clone())
    gold.sh_dc[statue] = torch.tensor([1.2, 0.5, -1.2])

    def seen(after: Gaussians) -> dict:
        images = look(after, statue, scene.test_cameras).images
        return pixels_outside(before.images, images, before.coverage)

    assert not seen(gold)["halo"]["visible"]
    # The rim: Gaussians that show within 3 pixels of the outline, and hardly anywhere else.
    inside = (before.coverage > 0.5).float()
    near_outline = F.max_pool2d(1 - inside, 7, 1, 3) * inside
    shown = contributions(gold, scene.test_cameras, torch.stack([near_outline, inside], dim=-1))
    rim = statue & (shown[:, 0] > 0.5 * shown[:, 1])
    assert 0 < rim.sum() < 0.5 * statue.sum()
    gold.log_scales[rim] += math.log(3)
    assert seen(gold)["halo"]["visible"]


@settings(max_examples=40)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 45),
    st.sampled_from([torch.uint8, torch.bool, torch.float32]),
)
def test_widening_is_the_largest_value_in_a_square_window(height, width, radius, dtype):
    """torch's own pooling is the reference, which asks every pixel of the window."""
    values = torch.randint(0, 256, (2, height, width))
    masks = (values > 250 if dtype == torch.bool else values).to(dtype)
    expected = torch.nn.functional.max_pool2d(
        torch.nn.functional.pad(masks.float()[:, None], (radius,) * 4), 2 * radius + 1, 1
    )
    assert torch.equal(widened(masks, radius), expected[:, 0].to(dtype))


def test_widening_a_full_picture_by_a_tenth_takes_a_moment():
    """Of 1600 x 1066, as photographs are, and the radius that the mode `replace` takes: it took 234 seconds a view."""
    masks = torch.zeros(1, 1066, 1600, dtype=torch.uint8)
    masks[0, 500, 800] = 255
    started = time.perf_counter()
    wide = widened(masks, 75)
    assert time.perf_counter() - started < 1
    assert int((wide > 0).sum()) == 151**2
