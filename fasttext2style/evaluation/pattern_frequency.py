"""How fine the pattern on an object is: the frequency at which its brightness varies most."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

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
    luma = (image @ image.new_tensor(_LUMA))[None, None]
    solid = (alpha[..., 0] > 0.9).to(luma)[None, None]
    inside = 1 - functional.max_pool2d(1 - solid, 5, 1, 2)
    reach = max(1, width // _SHADING // 2)

    def blurred(picture: Tensor) -> Tensor:
        return functional.avg_pool2d(picture, 2 * reach + 1, 1, reach)

    varies = inside * (luma - blurred(luma * inside) / blurred(inside).clamp(min=1e-6))
    faded = blurred(inside) * inside
    signal = (varies * faded)[0, 0]
    contrast = float((varies.square().sum() / inside.sum().clamp(min=1)).sqrt())
    if contrast < 1e-4:
        return Pattern(float("nan"), 0.0, contrast)
    signal = signal - faded[0, 0] * signal.sum() / faded.sum()
    power = torch.fft.rfft2(functional.pad(signal, (0, width, 0, height))).abs().square()
    down = torch.fft.fftfreq(2 * height, 1 / width, device=luma.device)
    across = torch.fft.rfftfreq(2 * width, 1 / width, device=luma.device)
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
