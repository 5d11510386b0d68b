"""The colours of an object moved to those of a picture, in closed form: one affine map, as of a grade.

What it maps are the colours that are seen; as spherical harmonics and blending are linear, the same map of the
coefficients shows them in every view (see `grade.py`), so highlights stay where they are and take on the new colours.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

LEAST_DEVIATION = 0.03
"""Of colours in [0, 1]. What varies less is taken for noise, and is not stretched to the picture's variety: a grey
statue has no hues that could be told apart."""


def transfer_map(
    mean: Float[Tensor, " 3"],
    covariance: Float[Tensor, "3 3"],
    wanted_mean: Float[Tensor, " 3"],
    wanted_covariance: Float[Tensor, "3 3"],
    strength: float = 1.0,
) -> Float[Tensor, "3 4"]:
    """Colour c becomes map[:, :3] @ c + map[:, 3]: whitened, then given the wanted covariance and mean.

    ARF (Zhang et al. 2022), section 3.3: A = S_wanted^(1/2) S^(-1/2), by the symmetric roots. Not in the paper: a
    picture that varies more than the object is taken at the object's own contrast (its covariance scaled down to the
    same largest deviation), for what varies in an object is mostly light and shadow, and they would become two colours
    of the picture. `strength` blends the map with doing nothing.

    Where every deviation of `covariance` is above `LEAST_DEVIATION` and the wanted ones are no larger, colours with
    that mean and covariance come out with exactly the wanted ones.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    values = values.clamp(min=LEAST_DEVIATION**2)
    wanted_values, wanted_vectors = torch.linalg.eigh(wanted_covariance.double())
    shrink = (values[-1] / wanted_values[-1].clamp(min=1e-12)).clamp(0, 1)
    whiten = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    color = wanted_vectors @ torch.diag((shrink * wanted_values).clamp(min=0).sqrt()) @ wanted_vectors.T
    matrix = strength * (color @ whiten) + (1 - strength) * torch.eye(3, dtype=torch.float64, device=mean.device)
    moved = (1 - strength) * mean.double() + strength * wanted_mean.double()
    return torch.cat([matrix, (moved - matrix @ mean.double())[:, None]], 1).to(mean)
