"""How much of the original render is left: content losses between images, chosen by name.

FastText2ObjectStyle 3.2 regularises with a pretrained VGG; the others cost less, need no download, or both. Frozen
networks are held by plain closures and objects, never by modules.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.guidance.constants import constant
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.weights import cached_weights, fill, imagenet_input, reachable, read_weights

Content = Literal["none", "trunk", "structure", "vgg", "lpips"]
ContentLoss = Callable[[Tensor, Tensor], Tensor]

LUMINANCE = (0.299, 0.587, 0.114)
"""Rec. 601 weights of sRGB channels."""


def load_content_loss(
    name: Content, encoder: TextImageEncoder, weights: str = "", device: torch.device | str = "cpu"
) -> ContentLoss:
    """A function of (images, originals), both [views, height, width, 3], to a scalar that is 0 when they are equal.

    Gradients flow to the images only.

    "vgg" and "lpips" need ImageNet weights of torchvision (vgg16, squeezenet1_1): from the file `weights`, or
    downloaded once by torchvision.

    Raises:
        ValueError: unknown name, or weights that cannot be had.
    """
    if name == "structure":
        return structure
    if name == "trunk":
        return lambda images, originals: trunk_distance(encoder, images, originals)
    if name == "vgg":
        return VggContent(weights, device)
    if name == "lpips":
        return LpipsContent(weights, device)
    raise ValueError(f"There is no content loss {name!r}; choose trunk, structure, vgg or lpips.")


def structure(
    images: Float[Tensor, "views height width 3"], originals: Float[Tensor, "views height width 3"]
) -> Float[Tensor, ""]:
    """How many of the original's luminance edges are gone or turned; blind to colour and contrast.

    At each pixel one minus the squared cosine between the two luminance gradients, weighted by the length of the
    original's: recolouring, brightening and inverting are free, and so is new texture where the original was smooth.
    Averaged over three scales: pixels, and means of 2x2 and 4x4 of them. Not in the paper. 0 for equal images, 1 when
    no edge of the original is left, as in an image of one colour.
    """
    luminance = constant(LUMINANCE, images)
    now, before = (batch @ luminance for batch in (images, originals))
    total = images.new_zeros(())
    for scale in (1, 2, 4):
        gradients, original_gradients = (
            _gradients(F.avg_pool2d(batch[:, None], scale)[:, 0]) for batch in (now, before)
        )
        lengths = original_gradients.square().sum(-1)
        # 1e-4: gradients below 1/100 per pixel are noise, and their direction means nothing.
        cosines = (gradients * original_gradients).sum(-1).square() / (
            (gradients.square().sum(-1) + 1e-4) * (lengths + 1e-4)
        )
        best = lengths.square() / (lengths + 1e-4).square()
        weights = lengths.sqrt()
        total = total + (weights * (best - cosines).clamp(min=0)).sum() / (weights * best).sum().clamp(min=1e-8) / 3
    return total


def trunk_distance(
    encoder: TextImageEncoder,
    images: Float[Tensor, "views height width 3"],
    originals: Float[Tensor, "views height width 3"],
) -> Float[Tensor, ""]:
    """Distance between feature maps of the guiding encoder, place by place; needs no second network.

    Squared difference of channel vectors of unit length, as LPIPS compares them (without its learned weights), averaged
    over places and over maps: 2 where they have nothing in common.
    """
    with torch.no_grad():
        references = encoder.image_features(originals)
    features = encoder.image_features(images)
    distances = [
        (F.normalize(now, dim=1) - F.normalize(before, dim=1)).square().sum(1).mean()
        for now, before in zip(features, references)
    ]
    return torch.stack(distances).mean()


class VggContent:
    """Mean squared error between features[:16] of VGG16 (relu3_3): the paper's content loss, 3.2."""

    def __init__(self, weights: str = "", device: torch.device | str = "cpu"):
        import torchvision

        state = _torchvision_weights(torchvision.models.VGG16_Weights.IMAGENET1K_V1.url, weights, "vgg")
        vgg = torchvision.models.vgg
        features = vgg.make_layers(vgg.cfgs["D"][:9])  # features[:16] without 120 million weights behind them
        fill(features, state, "features.", "VGG16 of torchvision")
        self._features = features.to(device).eval().requires_grad_(False)

    def __call__(
        self, images: Float[Tensor, "views height width 3"], originals: Float[Tensor, "views height width 3"]
    ) -> Float[Tensor, ""]:
        with torch.no_grad():
            reference = self._features(imagenet_input(originals))
        return F.mse_loss(self._features(imagenet_input(images)), reference)


class LpipsContent:
    """LPIPS with SqueezeNet (Zhang et al. 2018), whose learned weights the lpips package brings along."""

    def __init__(self, weights: str = "", device: torch.device | str = "cpu"):
        import lpips
        import torchvision

        state = _torchvision_weights(torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url, weights, "lpips")
        network = torchvision.models.squeezenet1_1().features
        fill(network, state, "features.", "SqueezeNet 1.1 of torchvision")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # lpips calls torchvision by its old names
            # pnet_rand: lpips would download the network by itself; its slices are filled below.
            self._lpips = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
        for slice_name in (f"slice{index}" for index in range(1, 8)):
            for index, layer in getattr(self._lpips.net, slice_name).named_children():
                layer.load_state_dict(network[int(index)].state_dict())
        self._lpips = self._lpips.to(device).eval().requires_grad_(False)

    def __call__(
        self, images: Float[Tensor, "views height width 3"], originals: Float[Tensor, "views height width 3"]
    ) -> Float[Tensor, ""]:
        now, before = (batch.permute(0, 3, 1, 2) for batch in (images, originals))
        return self._lpips(now, before.detach(), normalize=True).mean()


def _gradients(luminance: Float[Tensor, "views height width"]) -> Float[Tensor, "views h w 2"]:
    """Central differences inside the image, per pixel."""
    along_x = (luminance[:, 1:-1, 2:] - luminance[:, 1:-1, :-2]) / 2
    along_y = (luminance[:, 2:, 1:-1] - luminance[:, :-2, 1:-1]) / 2
    return torch.stack([along_x, along_y], -1)


def _torchvision_weights(url: str, path: str, content: str) -> dict[str, Tensor]:
    """State dict from `path`, from torch's cache, or downloaded into it."""
    if path:
        if not Path(path).is_file():
            raise ValueError(f"There is no file {path} with weights for content {content!r}.")
        return read_weights(Path(path), f"weights for content {content!r}")
    if cached_weights(url) is None and not reachable(url):
        raise ValueError(
            f"The content loss {content!r} needs {Path(url).name}, which is not on this machine and cannot be "
            "downloaded. Give the file with --pipeline.styler.objective.content-weights, or choose content "
            "'structure' or 'trunk', which need none."
        )
    return torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True, progress=False)
