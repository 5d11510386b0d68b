"""Hues that are smooth over a surface.

Networks are nearly blind to colour, so that optimised colours keep a fine noise of hues that no pattern has. Brightness
is left alone: it carries the pattern. Measured in examples/benchmarks/clean_pictures.py.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from fasttext2style.scene.gaussians import SH_C0

NEIGHBOURS = 8


def hue_roughness(sh_dc: Float[Tensor, "gaussians 3"], near: Int[Tensor, "gaussians neighbours"]) -> Float[Tensor, ""]:
    """Mean squared distance between what a colour is beside grey and the mean of its neighbours', in [0, 1] colours.

    `near` has the rows of each Gaussian's neighbours. 0 for greys, however light or dark, and for one colour all over.
    A red (1, 0, 0) among greys is (2/3, -1/3, -1/3) beside grey, of which the square is 2/3.
    """
    if not near.shape[1]:
        return sh_dc.sum() * 0
    hues = SH_C0 * (sh_dc - sh_dc.mean(dim=1, keepdim=True))
    return (hues - hues[near].mean(dim=1)).square().sum(dim=1).mean()
