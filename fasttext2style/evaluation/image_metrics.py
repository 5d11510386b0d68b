"""How near images are to references, where a weight per pixel says that it matters.

Images are [views, height, width, 3], sRGB in [0, 1]; weights are [views, height, width] in [0, 1], 0 is not looked at.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.image_losses import ContentLoss

Images = Float[Tensor, "views height width 3"]
Weights = Float[Tensor, "views height width"]

_LEAST_CROP = 64
"""LPIPS looks at patches of SqueezeNet's receptive fields; a smaller picture would be mostly border."""


def psnr(images: Images, references: Images, weights: Weights) -> float:
    """Peak signal-to-noise ratio in dB, of the squared error pooled over all views.

    Pooled, for the mean of the views' own PSNRs is infinite as soon as one view did not change. An error of 0.1
    everywhere gives 20 dB; equal images give infinity; no weight at all gives NaN.
    """
    squared = (images - references).double().square().mean(-1)
    return psnr_of_error(float((squared * weights).sum() / weights.double().sum()))


def psnr_of_error(mean_square: float) -> float:
    """In dB: 20 of an error of 0.1 everywhere, infinity of none."""
    # log10(0) is an exception in Python and an infinity in torch.
    return float(-10 * torch.tensor(mean_square, dtype=torch.float64).log10())


def mean_psnr(images: Images, references: Images, weights: Weights) -> float:
    """Mean of the views' own PSNRs in dB, as reconstructions are reported; views without any weight do not count.

    Two views with an error of 0.1 and 0.01 everywhere give 20 and 40 dB, so 30. References and weights may lie on
    another device than the images: one view at a time is brought there.
    """
    each = [
        psnr(images[[view]], references[[view]].to(images), weights[[view]].to(images))
        for view in range(len(images))
        if bool((weights[view] > 0).any())
    ]
    return sum(each) / len(each) if each else float("nan")


def mean_color(images: Images, weights: Weights) -> list[float]:
    """Mean sRGB, weighted; NaN without any weight."""
    total = weights.double().sum().to(images.device)
    sums = (images.double() * weights.to(images.device)[..., None]).sum(dim=(0, 1, 2))
    return [round(value, 4) for value in (sums / total).tolist()]


def largest_change(images: Images, references: Images, weights: Weights) -> float:
    """Largest difference of a channel among the pixels with a positive weight; 0 if there are none."""
    differences = (images - references).abs().amax(-1)[weights > 0]
    return float(differences.max()) if len(differences) else 0.0


def ssim(images: Images, references: Images, weights: Weights) -> float:
    """Structural similarity (Wang et al. 2004), the weighted mean of its map over all views; 1 for equal images.

    Windows at the border of the weights would see what lies outside: there the reference is replaced by the image.
    """
    maps = ssim_map(images, _only_inside(images, references, weights))
    return float((maps * weights).double().sum() / weights.double().sum())


def ssim_map(images: Images, references: Images) -> Weights:
    """SSIM of the window around each pixel, averaged over channels; by torchmetrics.

    Gaussian windows of 11 x 11 pixels (sigma 1.5) and K = (0.01, 0.03), as in the paper; images are mirrored at their
    border.

    Raises:
        ValueError: images smaller than half a window.
    """
    # Imported here: it brings along all other metrics, which takes seconds.
    from torchmetrics.functional.image import structural_similarity_index_measure

    height, width = images.shape[1:3]
    if min(height, width) < 6:
        raise ValueError(f"SSIM needs images of at least 6 x 6 pixels, got {height} x {width}")
    # In float64: variances are small differences of large squares.
    now, before = (batch.double().permute(0, 3, 1, 2) for batch in (images, references))
    _, maps = structural_similarity_index_measure(now, before, data_range=1.0, return_full_image=True)
    return maps.mean(dim=1).to(images)


def lpips_inside(lpips: ContentLoss, images: Images, references: Images, weights: Weights) -> float:
    """LPIPS (Zhang et al. 2018) of each view's weighted part, averaged over the views that have one; 0 if equal.

    Each view is cropped to the box of its positive weights, so that the number does not depend on how much of the
    picture the part fills; outside it the reference is replaced by the image. NaN if no view has a part.

    Args:
        lpips: `guidance.image_losses.LpipsContent`.
    """
    references = _only_inside(images, references, weights)
    distances = []
    for image, reference, weight in zip(images, references, weights):
        if bool((weight > 0).any()):
            rows, columns = _box(weight)
            distances.append(lpips(image[None, rows, columns], reference[None, rows, columns]))
    return float(torch.stack(distances).mean()) if distances else float("nan")


def _only_inside(images: Images, references: Images, weights: Weights) -> Images:
    return torch.lerp(images, references, weights[..., None])


def _box(weight: Float[Tensor, "height width"]) -> tuple[slice, slice]:
    """Rows and columns of the positive weights, at least `_LEAST_CROP` of each where the image has as many."""
    spans = []
    for axis in (0, 1):
        inside = (weight > 0).any(dim=1 - axis).nonzero()
        low, high, size = int(inside.min()), int(inside.max()) + 1, weight.shape[axis]
        length = max(high - low, min(_LEAST_CROP, size))
        start = min(max(0, (low + high - length) // 2), size - length)
        spans.append(slice(start, start + length))
    return spans[0], spans[1]
