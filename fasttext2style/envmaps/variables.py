"""What an edit moves, and which change of light comes of it: fields of stops, or codes of a VAE.

Codes are inverted as in the paper (Equations 2 and 3): Z, mean and log-variance, or a map. What is decoded becomes a
change in stops, so that the source keeps its size, its suns and its details: log2 of what is decoded now over what was
decoded at first (`detail` 1), or over the source itself, which leaves the VAE's own picture (`detail` 0).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.gains import DARKEST, MOST_STOPS, Gains, doubled
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.tones import exposed
from fasttext2style.envmaps.vae import divergence, load_vae
from fasttext2style.envmaps.vae_settings import CodeKind

CODES: dict[str, CodeKind] = {"fc": "global", "mulogvar": "global", "spatial": "spatial"}
"""Variables that are codes, and of which kind."""


class Change(NamedTuple):
    """A change of light at one moment, differentiable in the variables."""

    stops: Float[Tensor, "rows width 3"]
    """For `gains.lit`."""
    moved: Float[Tensor, "rows width 3"]
    """What has moved since the start, in stops: the same, unless `detail` is below 1."""
    divergence: Float[Tensor, ""]
    """Of the codes from a normal distribution; 0 without codes."""


@runtime_checkable
class Variables(Protocol):
    """What an optimiser moves."""

    groups: list[dict[str, Any]]
    """For Adam: tensors, and "of_rate", the share of the learning rate that they get."""

    def change(self, generator: torch.Generator | None = None) -> Change:
        """As it is now; with a generator, codes of mulogvar are drawn from their distribution, else they are means."""
        ...


def variables_of(
    settings: EditSettings, source: Float[Tensor, "rows width 3"], exposure_stops: float, device: torch.device
) -> Variables:
    """Those that the settings name, for a source at the working size.

    Raises:
        ValueError: a VAE that cannot be read.
    """
    if settings.variables in ("pyramid", "pixels"):
        return Fields(Gains(len(source), settings.variables, device))
    return Codes(settings, exposed(source, exposure_stops), device)


class Fields:
    """Of `Gains`; large areas move first: what is fine can only add to them."""

    def __init__(self, gains: Gains) -> None:
        self.gains = gains
        self.groups = [{"params": [field], "of_rate": 0.5**level} for level, field in enumerate(gains.fields)]

    def change(self, generator: torch.Generator | None = None) -> Change:
        stops = self.gains()
        return Change(stops, stops, stops.new_zeros(()))


class Codes:
    """Of a VAE, beginning at those of the source."""

    def __init__(self, settings: EditSettings, source: Float[Tensor, "rows width 3"], device: torch.device) -> None:
        self.rows, self.detail, self.is_drawn = len(source), settings.detail, settings.variables == "mulogvar"
        self._vae, _ = load_vae(Path(settings.vae) if settings.vae else None, CODES[settings.variables])
        self._vae.to(device)
        # Steps are largest where two codes of a map meet: the border of the panorama lies inside of one.
        cell = 2 ** len(self._vae.shape.widths)
        self._shift = cell // 2 - 1 if self._vae.shape.code == "spatial" else 0
        with torch.no_grad():
            encoded = self._vae.encode(resized(source, self._vae.shape.rows).roll(self._shift, dims=1)[None])
            mean, log_variance = self._vae.moments(encoded.fc)
            self._turn = encoded.turn
            self._decoded_at_first = self._decoded(mean)
            self._source = (source + DARKEST).log2()
        self._log_variance = log_variance
        start = {"fc": (encoded.fc,), "mulogvar": (mean, log_variance), "spatial": (mean,)}[settings.variables]
        self._moving = [tensor.clone().requires_grad_() for tensor in start]
        # Of a code a step is a share of a standard deviation; Z has a scale of its own.
        scale = float(encoded.fc.std()) if settings.variables == "fc" else 1.0
        self.groups = [{"params": self._moving, "of_rate": scale}]

    def change(self, generator: torch.Generator | None = None) -> Change:
        mean, log_variance = self._moments()
        code = mean
        if generator is not None and self.is_drawn:
            noise = torch.randn(mean.shape, generator=generator).to(mean)
            code = mean + (log_variance / 2).exp() * noise
        decoded = self._decoded(code)
        moved = decoded - self._decoded_at_first
        stops = moved + (1 - self.detail) * (self._decoded_at_first - self._source)
        return Change(stops.clamp(-MOST_STOPS, MOST_STOPS), moved, divergence(mean, log_variance))

    def _moments(self) -> tuple[Tensor, Tensor]:
        if len(self._moving) == 2:
            return self._moving[0], self._moving[1].clamp(-12, 6)
        if self._vae.shape.code == "global":
            return self._vae.moments(self._moving[0])
        return self._moving[0], self._log_variance

    def _decoded(self, code: Tensor) -> Float[Tensor, "rows width 3"]:
        """What a code shows, in stops as `gains.lit` reckons (black is -7), at the working size."""
        light = self._vae.decode(code, self._turn)[0].roll(-self._shift, dims=1)
        stops = (light + DARKEST).log2()
        if len(stops) > self.rows:
            return resized(stops, self.rows)
        for _ in range(round(math.log2(self.rows / len(stops)))):
            stops = doubled(stops)
        return stops
