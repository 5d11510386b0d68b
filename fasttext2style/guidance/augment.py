"""Patches of the object in random crops, perspectives and on random backgrounds, differentiable to the pixels.

CLIP scores a single fixed view on a fixed background all too easily: patches make the style appear at every place and
scale, and swapped backgrounds keep it from becoming a statement about black surroundings.
Grids hold sampling places in grid_sample's convention: x to the right, y down, -1 and 1 at the image's outer edges.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.constants import constant

Background = Literal["black", "white", "grey", "noise"]


def sample_patch_grids(
    alphas: Float[Tensor, "views height width 1"],
    patches_per_view: int,
    side: int,
    scale: tuple[float, float],
    perspective: float,
    generator: torch.Generator,
) -> Float[Tensor, "views patches side side 2"]:
    """Where each patch looks: patch 0 of a view at the whole object, `patches_per_view` more at random parts of it.

    The whole object is the square around what alpha shows, with a margin of 5 % on each side. Random patches are
    squares of `scale` times its side, centred on a random pixel of the object and moved inside that square, seen
    through a homography x / (1 + p·x) with each p uniform in ±`perspective`. Without a visible object: the frame.

    The grid is finer than `side` by a whole factor when a patch has more than one pixel per sample: `take_patches`
    averages, so that shrinking does not alias and every pixel gets its gradient.

    Raises:
        ValueError: a scale outside (0, 1] or a perspective of 0.5 or more, which would fold the patch over.
    """
    check_patches(scale, perspective)
    views, height, width, _ = alphas.shape
    center, half = _object_squares(alphas)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand(shape, generator=generator, device=generator.device).to(alphas)
        return low + (high - low) * drawn

    patch_half = half[:, None] * uniform(*scale, views, patches_per_view)
    slack = (half[:, None] - patch_half)[..., None]
    offset = _object_points(alphas, patches_per_view, generator) - center[:, None]
    patch_center = center[:, None] + torch.minimum(torch.maximum(offset, -slack), slack)
    tilt = uniform(-perspective, perspective, views, patches_per_view, 2)

    # In pixels up to here, the whole object first.
    centers = torch.cat([center[:, None], patch_center], 1)
    halves = torch.cat([half[:, None], patch_half], 1)
    tilts = torch.cat([tilt.new_zeros(views, 1, 2), tilt], 1)

    # Bilinear sampling reaches a pixel to each side: up to 1.25 pixels per sample it leaves none out.
    oversampling = max(1, math.ceil(2 * float(halves.max()) / side - 0.25))
    steps = torch.linspace(-1, 1, 2 * side * oversampling + 1, device=alphas.device, dtype=alphas.dtype)[1::2]
    square = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1)
    depth = 1 + torch.einsum("vpc,hwc->vphw", tilts, square)
    pixels = centers[:, :, None, None] + halves[:, :, None, None, None] * square / depth[..., None]
    return 2 * pixels / constant((width, height), pixels) - 1


def take_patches(
    images: Float[Tensor, "views height width channels"], grids: Float[Tensor, "views patches fine fine 2"], side: int
) -> Float[Tensor, "views*patches {side} {side} channels"]:
    """Sample `images` at `grids`, averaged down to `side`; black and empty outside the image."""
    views, patches, fine, _, _ = grids.shape
    rows = grids.reshape(views, patches * fine, fine, 2)
    sampled = F.grid_sample(images.permute(0, 3, 1, 2), rows, mode="bilinear", align_corners=False)
    sampled = sampled.reshape(views, -1, patches, fine, fine).transpose(1, 2).flatten(0, 1)
    return F.avg_pool2d(sampled, fine // side).permute(0, 2, 3, 1)


def sample_backgrounds(
    count: int, side: int, kinds: tuple[Background, ...], generator: torch.Generator
) -> Float[Tensor, "{count} {side} {side} 3"]:
    """One background per patch, of a kind drawn from `kinds`. Noise comes in coloured blobs of a random size.

    Raises:
        ValueError: no kinds.
    """
    if not kinds:
        raise ValueError("No backgrounds are given; name at least one of black, white, grey, noise.")
    device = generator.device
    flat = {"black": 0.0, "grey": 0.5, "white": 1.0}
    cells = int(torch.randint(4, max(side // 2, 5), (), generator=generator, device=device))
    blobs = torch.rand(count, 3, cells, cells, generator=generator, device=device)
    noise = F.interpolate(blobs, (side, side), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
    choices = torch.randint(len(kinds), (count,), generator=generator, device=device)
    backgrounds = noise
    for number, kind in enumerate(kinds):
        if kind != "noise":  # chosen on the device: asking which were drawn would wait for it
            backgrounds = torch.where((choices == number)[:, None, None, None], flat[kind], backgrounds)
    return backgrounds.contiguous()


def check_patches(
    scale: tuple[float, float], perspective: float, backgrounds: tuple[Background, ...] = ("black",)
) -> None:
    """Raises ValueError for a scale outside (0, 1], a perspective of 0.5 or more, and no backgrounds."""
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"The patch scale must rise within (0, 1], got {scale}.")
    if not 0 <= perspective < 0.5:
        raise ValueError(f"The perspective must be at least 0 and less than 0.5, got {perspective}.")
    if not backgrounds:
        raise ValueError("No backgrounds are given; name at least one of black, white, grey, noise.")


def _object_squares(
    alphas: Float[Tensor, "views height width 1"],
) -> tuple[Float[Tensor, "views 2"], Float[Tensor, " views"]]:
    """Centre (x, y) and half side, in pixels, of the square around each view's object; the frame when it is empty."""
    visible = alphas[..., 0] > 0.1
    visible = visible | ~visible.flatten(1).any(1)[:, None, None]
    bounds = []
    for occupied in (visible.any(1), visible.any(2)):  # columns, then rows
        low = occupied.int().argmax(1)
        high = occupied.shape[1] - occupied.flip(1).int().argmax(1)
        bounds.append(torch.stack([low, high], -1))
    box = torch.stack(bounds, 1).to(alphas.dtype)  # [views, x and y, low and high]
    return box.mean(-1), 1.1 * (box[..., 1] - box[..., 0]).amax(-1) / 2


def _object_points(
    alphas: Float[Tensor, "views height width 1"], count: int, generator: torch.Generator
) -> Float[Tensor, "views {count} 2"]:
    """Random pixels (x, y) of each view's object, in proportion to alpha; anywhere when it is empty."""
    if count == 0:
        return alphas.new_zeros(len(alphas), 0, 2)
    weights = alphas.flatten(1).to(generator.device, torch.float32) + 1e-8
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator).to(alphas.device)
    width = alphas.shape[2]
    return torch.stack([chosen % width, chosen // width], -1).to(alphas.dtype) + 0.5
