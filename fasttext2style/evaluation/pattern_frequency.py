"""A pattern on an object: how fine it is, and whether it is painted on it or only in each picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fasttext2style.evaluation.warping import warp
from fasttext2style.scene.cameras import Cameras

LOWEST = 4.0
"""Cycles a picture: what varies more slowly is shading."""
_LUMA = (0.2126, 0.7152, 0.0722)
_SHADING = 8
"""Shading is what is left of a picture that is blurred over an eighth of its width."""


class Pattern(NamedTuple):
    """Of one picture."""

    frequency: float
    """Cycles per width of the picture, of the half octave with the most variance. NaN: nothing varies."""
    share: float
    """Of all variance from `LOWEST` on, what lies in that half octave."""
    contrast: float
    """Standard deviation of brightness without shading, in [0, 1]."""


def pattern_of(image: Float[Tensor, "height width 3"], alpha: Float[Tensor, "height width 1"]) -> Pattern:
    """The dominant pattern on what `alpha` shows, whatever its direction.

    Brightness, without what varies over an eighth of the picture, faded towards the object's outline, so that the
    outline itself is no pattern; its power spectrum, summed over directions. Stripes of a period of p pixels in a
    picture of w have w / p. Images are sRGB in [0, 1], premultiplied on black or not: the rim is not looked at.

    Raises:
        ValueError: the picture is not square.
    """
    height, width, _ = image.shape
    if height != width:
        raise ValueError(f"A pattern's frequency is measured in square pictures, got {width}x{height}.")
    varies, inside = (part[0] for part in _without_shading(image[None], alpha[None]))
    faded = _blurred(inside[None])[0] * inside
    signal = varies * faded
    contrast = float((varies.square().sum() / inside.sum().clamp(min=1)).sqrt())
    if contrast < 1e-4:
        return Pattern(float("nan"), 0.0, contrast)
    signal = signal - faded * signal.sum() / faded.sum()
    power = torch.fft.rfft2(functional.pad(signal, (0, width, 0, height))).abs().square()
    down = torch.fft.fftfreq(2 * height, 1 / width, device=image.device)
    across = torch.fft.rfftfreq(2 * width, 1 / width, device=image.device)
    cycles = (down[:, None].square() + across.square()).sqrt()
    # Half octaves that overlap, a sixteenth of an octave apart.
    middles = LOWEST * 2 ** (torch.arange(0, 16 * 8) / 16)
    middles = middles[middles * 2**0.25 <= width / 2].to(cycles)
    inside_band = (cycles / middles[:, None, None]).log2().abs() <= 0.25
    bands = (inside_band * power).sum((1, 2))
    best = int(bands.argmax())
    chosen = power * inside_band[best]
    frequency = float((chosen * cycles).sum() / chosen.sum())
    return Pattern(frequency, float(bands[best] / power[cycles >= LOWEST * 2**-0.25].sum()), contrast)


def patterns_agree(
    images: Float[Tensor, "2 height width 3"],
    alphas: Float[Tensor, "2 height width 1"],
    depths: Float[Tensor, "2 height width"],
    cameras: Cameras,
) -> float:
    """Correlation of the brightness that two cameras see at the same places of a surface, without shading.

    1: the pattern is painted on the object; 0: each view has one of its own. Depths are along the viewing axis. NaN
    where the two see nothing in common, or nothing that varies.
    """
    varies, inside = _without_shading(images, alphas)
    first = torch.stack([varies[0], inside[0]], -1)[None]
    moved, known = warp(first, cameras[[0]], depths[:1], cameras[[1]], depths[1:])
    common = known[0] & (moved[0, ..., 1] > 0.99) & (inside[1] > 0)
    if int(common.sum()) < 2:
        return float("nan")
    return float(torch.corrcoef(torch.stack([moved[0, ..., 0][common], varies[1][common]]))[0, 1])


def _without_shading(
    images: Float[Tensor, "views height width 3"], alphas: Float[Tensor, "views height width 1"]
) -> tuple[Float[Tensor, "views height width"], Float[Tensor, "views height width"]]:
    """Brightness less its blurred self, and where it is the object's: 1 there, 0 at the rim and outside."""
    luma = images @ images.new_tensor(_LUMA)
    empty = (alphas[..., 0] <= 0.9).to(luma)
    inside = 1 - functional.max_pool2d(empty[:, None], 5, 1, 2)[:, 0]
    return inside * (luma - _blurred(luma * inside) / _blurred(inside).clamp(min=1e-6)), inside


def _blurred(pictures: Float[Tensor, "views height width"]) -> Float[Tensor, "views height width"]:
    reach = max(1, pictures.shape[-1] // _SHADING // 2)
    return functional.avg_pool2d(pictures[:, None], 2 * reach + 1, 1, reach)[:, 0]
