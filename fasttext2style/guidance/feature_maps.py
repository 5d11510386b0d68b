"""What a picture looks like from inside an image network: feature maps, by which pictures are compared as styles.

Which network is there decides: VGG16 is what the papers use; SqueezeNet is a hundredth of its size; the encoder that
guides sentences has maps of its own. Nothing is ever downloaded here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.weights import cached_weights, fill, imagenet_input, read_weights
from fasttext2style.trust.typed import expanded


@runtime_checkable
class FeatureMaps(Protocol):
    """A frozen image network."""

    name: str
    """Network and weights, for reports."""

    def __call__(self, images: Float[Tensor, "views height width 3"]) -> list[Float[Tensor, "views c h w"]]:
        """Maps of several depths, the finest first, differentiable to the pixels."""
        ...


def load_feature_maps(encoder: TextImageEncoder, weights: str = "", device: torch.device | str = "cpu") -> FeatureMaps:
    """The network that pictures are compared by.

    Args:
        encoder: its own maps are taken where there is nothing better.
        weights: a file with torchvision's VGG16 or SqueezeNet 1.1; "encoder" for the encoder's maps; empty takes VGG16
            from torch's cache, else SqueezeNet from there, else the encoder.

    Raises:
        ValueError: no such file, or one of another network.
    """
    import torchvision

    if weights == "encoder":
        return EncoderMaps(encoder)
    if weights:
        path = expanded(weights)
        if not path.is_file():
            raise ValueError(
                f"There is no file {path} with weights of a feature network: --feature-weights takes torchvision's "
                "vgg16 or squeezenet1_1, or the word encoder; without it the encoder's own features are used."
            )
        return NetworkMaps(path, device)
    for url in (
        torchvision.models.VGG16_Weights.IMAGENET1K_V1.url,
        torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url,
    ):
        path = cached_weights(url)
        if path is not None:
            return NetworkMaps(path, device)
    return EncoderMaps(encoder)


class EncoderMaps:
    """The maps of a text-image encoder (implements `FeatureMaps`)."""

    def __init__(self, encoder: TextImageEncoder) -> None:
        self.name, self._encoder = f"encoder {encoder.name}", encoder

    def __call__(self, images: Float[Tensor, "views height width 3"]) -> list[Float[Tensor, "views _ _ _"]]:
        return self._encoder.image_features(images)


class NetworkMaps:
    """VGG16 or SqueezeNet 1.1 of torchvision, whichever a file holds (implements `FeatureMaps`)."""

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        state = read_weights(path, "weights of a feature network")
        found = [kind for kind in _KINDS if kind.mark in state]
        if not found:
            raise ValueError(
                f"{path} holds another network: expected the weights of torchvision's VGG16 (vgg16) or SqueezeNet 1.1 "
                "(squeezenet1_1)."
            )
        kind = found[0]
        network = kind.make()
        fill(network, state, "features.", kind.name)
        self.name, self._taps = f"{kind.name}, {path.name}", kind.taps
        self._network = network.to(device).eval().requires_grad_(False)

    def __call__(self, images: Float[Tensor, "views height width 3"]) -> list[Float[Tensor, "views _ _ _"]]:
        now, maps = imagenet_input(images), []
        for index, layer in enumerate(self._network):
            now = layer(now)
            if index in self._taps:
                maps.append(now)
        return maps


class _Kind:
    """A network of torchvision, as far as its deepest map."""

    def __init__(self, name: str, mark: str, taps: tuple[int, ...], make: Callable[[], Any]) -> None:
        self.name, self.mark, self.taps, self._make = name, mark, taps, make

    def make(self) -> nn.Sequential:
        return nn.Sequential(*list(self._make())[: self.taps[-1] + 1])


def _vgg16() -> nn.Sequential:
    import torchvision

    vgg = torchvision.models.vgg
    return vgg.make_layers(vgg.cfgs["D"][:9])  # without 120 million weights behind them


def _squeezenet() -> nn.Sequential:
    import torchvision

    return torchvision.models.squeezenet1_1().features


_KINDS = (
    _Kind("VGG16 of torchvision", "features.2.weight", (3, 8, 15), _vgg16),  # relu1_2, relu2_2, relu3_3
    _Kind("SqueezeNet 1.1 of torchvision", "features.3.squeeze.weight", (1, 4, 7), _squeezenet),  # relu, fire3, fire5
)
