"""Image metrics against scikit-image, the lpips package and cases worked out by hand."""

import math

import lpips as lpips_package
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fasttext2style.evaluation.image_metrics import largest_change, lpips_inside, psnr, ssim, ssim_map
from fasttext2style.guidance.image_losses import LpipsContent


def _pair(views: int = 2, height: int = 40, width: int = 52) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth pictures and noisy versions of them."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(views, 3, 6, 7, generator=generator)
    images = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").permute(0, 2, 3, 1).clamp(0, 1)
    return images, (images + 0.1 * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def test_psnr_equals_scikit_image_over_all_views():
    images, noisy = _pair()
    expected = peak_signal_noise_ratio(images.double().numpy(), noisy.double().numpy(), data_range=1.0)
    assert psnr(noisy, images, torch.ones(2, 40, 52)) == pytest.approx(expected, abs=1e-6)


def test_psnr_counts_weighted_pixels_alone():
    images = torch.zeros(1, 8, 8, 3)
    changed = images.clone()
    changed[:, :4] = 0.1  # 20 dB where it counts
    changed[:, 4:] = 0.9
    weights = torch.zeros(1, 8, 8)
    weights[:, :4] = 1
    assert psnr(changed, images, weights) == pytest.approx(20, abs=1e-4)
    weights[:, 4:] = 0.5  # (0.01 + 0.5 * 0.81) / 1.5
    assert psnr(changed, images, weights) == pytest.approx(-10 * math.log10(0.415 / 1.5), abs=1e-4)


def test_equal_images_have_infinite_psnr_and_no_weights_none():
    images, _ = _pair()
    assert psnr(images, images, torch.ones(2, 40, 52)) == math.inf
    assert math.isnan(psnr(images, images, torch.zeros(2, 40, 52)))


def test_largest_change_is_read_inside_the_weights():
    images = torch.zeros(1, 4, 4, 3)
    changed = images.clone()
    changed[0, 0, 0, 1], changed[0, 3, 3, 2] = 0.25, 0.75
    weights = torch.ones(1, 4, 4)
    weights[0, 3, 3] = 0
    assert largest_change(changed, images, weights) == 0.25
    assert largest_change(changed, images, torch.zeros(1, 4, 4)) == 0.0


def test_ssim_map_equals_scikit_image():
    images, noisy = _pair()
    ours = ssim_map(noisy, images)
    for view in range(2):
        _, expected = structural_similarity(
            noisy[view].double().numpy(),
            images[view].double().numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=2,
            full=True,
        )
        # Five pixels from the border: scikit-image mirrors there in another way.
        inner = np.s_[5:-5, 5:-5]
        np.testing.assert_allclose(ours[view].numpy()[inner], expected.mean(-1)[inner], atol=1e-6)


def test_ssim_does_not_look_beyond_the_weights():
    images, noisy = _pair()
    weights = torch.zeros(2, 40, 52)
    weights[:, 10:30, 10:40] = 1
    elsewhere = torch.where(weights[..., None] > 0, noisy, torch.rand(noisy.shape))
    assert ssim(elsewhere, torch.where(weights[..., None] > 0, images, elsewhere), weights) < 0.9
    inside_equal = torch.where(weights[..., None] > 0, images, noisy)
    assert ssim(inside_equal, images, weights) == pytest.approx(1, abs=1e-6)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ValueError, match="6 x 6"):
        ssim_map(torch.zeros(1, 5, 9, 3), torch.zeros(1, 5, 9, 3))


@pytest.fixture(scope="module")
def squeeze(shared_data) -> LpipsContent:
    return LpipsContent(str(shared_data / "weights" / "squeezenet1_1_fp16.pth"))


def test_lpips_equals_the_lpips_package_on_the_crop(squeeze, shared_data):
    images, noisy = _pair(1, 96, 110)
    weights = torch.zeros(1, 96, 110)
    weights[:, 16:90, 20:100] = 1
    package = _package_lpips(shared_data)
    now, before = (batch[:, 16:90, 20:100].permute(0, 3, 1, 2) * 2 - 1 for batch in (noisy, images))
    assert lpips_inside(squeeze, noisy, images, weights) == pytest.approx(float(package(now, before)), abs=1e-5)


def test_lpips_of_a_small_part_sees_64_pixels_and_nothing_else_changed(squeeze):
    images, noisy = _pair(2, 96, 110)
    weights = torch.zeros(2, 96, 110)
    weights[0, :5, 105:] = 1  # in a corner; view 1 has no part and does not count
    seen = torch.lerp(noisy, images, weights[..., None])[:1, :64, 46:]
    expected = float(squeeze(noisy[:1, :64, 46:], seen))
    assert lpips_inside(squeeze, noisy, images, weights) == pytest.approx(expected, abs=1e-6)
    assert expected > 0
    assert math.isnan(lpips_inside(squeeze, noisy, images, torch.zeros(2, 96, 110)))


def _package_lpips(shared_data) -> torch.nn.Module:
    """The package's own network, filled by hand from torchvision's layer numbers."""
    state = torch.load(shared_data / "weights" / "squeezenet1_1_fp16.pth", weights_only=True)
    network = lpips_package.LPIPS(net="squeeze", pnet_rand=True, verbose=False).eval()
    filled = {
        name: state[f"features.{name.split('.', 2)[2]}"].float()
        for name in network.state_dict()
        if name.startswith("net.slice")
    }
    missing = network.load_state_dict(filled, strict=False).missing_keys
    assert not [name for name in missing if name.startswith("net.slice")]
    return network
