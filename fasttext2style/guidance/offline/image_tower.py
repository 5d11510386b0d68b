"""EfficientNet-Lite0 (Tan et al. 2019 without squeeze-and-excitation), as far as its pooled features.

Images are [views, 3, height, width], sRGB in [0, 1]. Frozen, batch norms folded into the convolutions before them: half
the time of a step on a CPU. Padding is TensorFlow's "same", which the weights were trained with: where a stride leaves
an odd number over, the extra row goes to the bottom and the right.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 1000
STAGES = ((1, 1), (2, 2), (2, 2), (2, 3), (1, 3), (2, 4), (1, 1))
"""Stride and number of blocks of each; kernels, channels and expansions are those of the weights."""
EIGHTH, SIXTEENTH = 2, 4
"""Stages whose outcome is shown: 40 channels at 1/8 of the images' size, 112 at 1/16."""


class Seen(NamedTuple):
    """What the network makes of a batch of images."""

    eighth: Float[Tensor, "views 40 _ _"]
    sixteenth: Float[Tensor, "views 112 _ _"]
    pooled: Float[Tensor, "views 1280"]

    @property
    def statistics(self) -> Float[Tensor, "views 304"]:
        """Means and standard deviations over all places of the two maps: texture, without where it is."""
        parts = []
        for features in (self.eighth, self.sixteenth):
            variance, mean = torch.var_mean(features.flatten(2), dim=-1, correction=0)
            # The gradient of sqrt is infinite at 0.
            parts += [mean, (variance + 1e-4).sqrt()]
        return torch.cat(parts, -1)


class ImageTower(nn.Module):
    """The network of a state dict in the TensorFlow release's layout (`_conv_stem`, `_blocks.0._project_conv` ...)."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.stem = _folded(state, "_conv_stem", "_bn0", stride=2)
        self.stages = nn.ModuleList()
        number = 0
        for stride, repeats in STAGES:
            blocks = []
            for repeat in range(repeats):
                blocks.append(_Block(state, f"_blocks.{number}.", stride if repeat == 0 else 1))
                number += 1
            self.stages.append(nn.Sequential(*blocks))
        self.head = _folded(state, "_conv_head", "_bn1")

    def forward(self, images: Float[Tensor, "views 3 height width"]) -> Seen:
        """Of images of at least 32x32, at whatever size they come: fewer pixels are looked at with the same eyes."""
        # Channels last is what makes small convolutions quick on CPUs.
        centred = ((255 * images - 127) / 128).contiguous(memory_format=torch.channels_last)
        features, shown = functional.relu6(_same(self.stem, centred)), []
        for number, stage in enumerate(self.stages):
            features = stage(features)
            if number in (EIGHTH, SIXTEENTH):
                shown.append(features)
        return Seen(shown[0], shown[1], functional.relu6(self.head(features)).mean((2, 3)))


class _Block(nn.Module):
    """An inverted residual: wide, along each channel, narrow again; no activation at the end."""

    def __init__(self, state: Mapping[str, Tensor], name: str, stride: int) -> None:
        super().__init__()
        expands = f"{name}_expand_conv.weight" in state  # all but the first do
        self.expand = _folded(state, f"{name}_expand_conv", f"{name}_bn0") if expands else None
        self.depthwise = _folded(state, f"{name}_depthwise_conv", f"{name}_bn1", stride)
        self.project = _folded(state, f"{name}_project_conv", f"{name}_bn2")

    def forward(self, features: Tensor) -> Tensor:
        inner = features if self.expand is None else functional.relu6(self.expand(features))
        out = self.project(functional.relu6(_same(self.depthwise, inner)))
        return features + out if out.shape == features.shape else out


def load_image_tower(path: Path) -> tuple[ImageTower, Float[Tensor, "1000 1280"], Float[Tensor, " 1000"]]:
    """Tower, and rows and biases of the classifier for ImageNet's 1,000 classes."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    tower = ImageTower(state).eval().requires_grad_(False)
    return tower, state["_fc.weight"].clone(), state["_fc.bias"].clone()


def _folded(state: Mapping[str, Tensor], name: str, norm: str, stride: int = 1) -> nn.Conv2d:
    """A convolution and the batch norm behind it as one (epsilon as in the release)."""
    weight = state[f"{name}.weight"]
    mean, variance, gain, shift = (
        state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    factor = gain * (variance + 1e-3).rsqrt()
    wide, channels, kernel, _ = weight.shape
    depthwise = channels == 1
    convolution = nn.Conv2d(
        wide if depthwise else channels,
        wide,
        kernel,
        stride,
        padding=kernel // 2 if stride == 1 else 0,
        groups=wide if depthwise else 1,
    )
    with torch.no_grad():
        convolution.weight.copy_(weight * factor[:, None, None, None])
        assert convolution.bias is not None, "a Conv2d has a bias unless told otherwise"
        convolution.bias.copy_(shift - mean * factor)
    return convolution


def _same(convolution: nn.Conv2d, features: Tensor) -> Tensor:
    stride, kernel = convolution.stride[0], convolution.kernel_size[0]
    if stride > 1:
        # Width first, as functional.pad has it.
        missing = [max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in (features.shape[3], features.shape[2])]
        features = functional.pad(features, [part for n in missing for part in (n // 2, n - n // 2)])
    return convolution(features)
