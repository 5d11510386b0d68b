"""A panorama as a code and back: variational autoencoders whose convolutions go around.

The paper's (CLIP-guided Editing of Environment Maps, Figure 1): convolutions, a layer 'fc' that gives Z, from it mean
and log-variance ('mulogvar'), and a decoder. Two kinds of codes: one vector for the whole panorama (`global`), or a map
of codes (`spatial`; what diffusers' AutoencoderKL is for pictures, small and without its normalisation, so that it
learns on one core). Panoramas are [views, rows, 2 rows, 3], radiance exposed to middle grey; inside, channels first, on
a curve on which black is -1 and white 1 (`tones.to_curve`).

Yaw: turning by whole pixels of the code's map turns what is decoded by as much (spatial). A vector knows no direction:
a global VAE first turns the panorama so that its light comes from the middle, and what is decoded back
(`Encoded.turn`), so that any turn by whole pixels turns the reconstruction.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fasttext2style.envmaps.sphere import solid_angles
from fasttext2style.envmaps.tones import from_curve, to_curve
from fasttext2style.envmaps.vae_settings import CodeKind, VAEReport, VAEShape
from fasttext2style.scene.files.atomic import atomic_write

PACKAGED = "vae_{}.safetensors"


class Encoded(NamedTuple):
    """What an encoder makes of panoramas."""

    fc: Float[Tensor, "views hidden *map"]
    """Z of the paper: what mean and log-variance are computed from."""
    turn: Int[Tensor, " views"]
    """Columns by which they were rolled before; 0 for maps of codes."""


class PanoramaVAE(nn.Module):
    """See the head of this file.

    Raises:
        ValueError: no such shape.
    """

    def __init__(self, shape: VAEShape) -> None:
        super().__init__()
        self.shape = shape.check()
        widths, last = shape.widths, shape.widths[-1]
        self.stem = AroundConv2d(12, widths[0])
        self.down = nn.Sequential(
            *(nn.Sequential(Residual(wide), AroundConv2d(wide, wider, 2)) for wide, wider in pairwise(widths)),
            Residual(last),
        )
        if shape.code == "global":
            self.smallest = shape.rows // 2 ** len(widths)
            cells = last * self.smallest * 2 * self.smallest
            self.to_fc = nn.Sequential(nn.SiLU(), nn.Flatten(), nn.Linear(cells, shape.hidden))
            self.to_moments = nn.Sequential(nn.SiLU(), nn.Linear(shape.hidden, 2 * shape.latent))
            self.from_code = nn.Sequential(
                nn.Linear(shape.latent, shape.hidden), nn.SiLU(), nn.Linear(shape.hidden, cells)
            )
        else:
            self.to_fc = nn.Sequential(nn.SiLU(), nn.Conv2d(last, shape.hidden, 1))
            self.to_moments = nn.Sequential(nn.SiLU(), nn.Conv2d(shape.hidden, 2 * shape.latent, 1))
            self.from_code = nn.Conv2d(shape.latent, last, 1)
        self.up = nn.Sequential(
            Residual(last),
            *(
                nn.Sequential(nn.Upsample(scale_factor=2.0), AroundConv2d(wider, wide), Residual(wide))
                for wider, wide in zip(widths[:0:-1], widths[-2::-1])
            ),
        )
        self.head = nn.Sequential(nn.SiLU(), AroundConv2d(widths[0], 12))

    def encode(self, panoramas: Float[Tensor, "views rows width 3"]) -> Encoded:
        """Z of radiance that is exposed to middle grey.

        Raises:
            ValueError: of another size than the shape says (global), or not a multiple of what a code covers.
        """
        self._check_size(panoramas)
        values = to_curve(panoramas, self.shape.curve)
        turn = torch.zeros(len(values), dtype=torch.long, device=values.device)
        if self.shape.code == "global":
            turn = columns_to_middle(values)
            values = rolled(values, turn)
        return Encoded(self.to_fc(self.features(values.permute(0, 3, 1, 2))), turn)

    def features(self, values: Float[Tensor, "views 3 rows width"]) -> Float[Tensor, "views channels _ _"]:
        """The map before 'fc': it turns with the panorama, by whole pixels of its own."""
        return self.down(self.stem(F.pixel_unshuffle(values, 2)))

    def moments(
        self, fc: Float[Tensor, "views hidden *map"]
    ) -> tuple[Float[Tensor, "views latent *map"], Float[Tensor, "views latent *map"]]:
        """Mean and log-variance of the codes."""
        mean, log_variance = self.to_moments(fc).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)

    def decode_values(
        self, code: Float[Tensor, "views latent *map"], turn: Int[Tensor, " views"]
    ) -> Float[Tensor, "views rows width 3"]:
        """On the curve."""
        seeds = self.from_code(code)
        if self.shape.code == "global":
            seeds = seeds.unflatten(1, (self.shape.widths[-1], self.smallest, 2 * self.smallest))
        values = F.pixel_shuffle(self.head(self.up(seeds)), 2).permute(0, 2, 3, 1)
        return rolled(values, -turn) if self.shape.code == "global" else values

    def decode(
        self, code: Float[Tensor, "views latent *map"], turn: Int[Tensor, " views"]
    ) -> Float[Tensor, "views rows width 3"]:
        """Radiance of codes; differentiable."""
        return from_curve(self.decode_values(code, turn), self.shape.curve)

    @torch.no_grad()
    def reconstruct(self, panoramas: Float[Tensor, "views rows width 3"]) -> Float[Tensor, "views rows width 3"]:
        """What is left of panoramas in the means of their codes."""
        encoded = self.encode(panoramas)
        return self.decode(self.moments(encoded.fc)[0], encoded.turn)

    def _check_size(self, panoramas: Tensor) -> None:
        rows, width = panoramas.shape[1:3]
        cell = 2 ** len(self.shape.widths)
        if width != 2 * rows or rows % cell or (self.shape.code == "global" and rows != self.shape.rows):
            wanted = self.shape.rows if self.shape.code == "global" else f"a multiple of {cell}"
            raise ValueError(f"This VAE takes panoramas of {wanted} rows, twice as wide; got {rows} x {width}")


class AroundConv2d(nn.Conv2d):
    """3x3 on a panorama: left and right edge are neighbours, rows at the poles are repeated."""

    def __init__(self, channels: int, new_channels: int, stride: int = 1) -> None:
        super().__init__(channels, new_channels, 3, stride)

    def forward(self, input: Tensor) -> Tensor:
        around = F.pad(input, (1, 1, 0, 0), mode="circular")
        return super().forward(F.pad(around, (0, 0, 1, 1), mode="replicate"))


class Residual(nn.Module):
    """Two convolutions beside what they get; at first they add nothing, which is what stands in for normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = AroundConv2d(channels, channels), AroundConv2d(channels, channels)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None, "a Conv2d has a bias unless told otherwise"
        nn.init.zeros_(self.second.bias)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(F.silu(self.first(F.silu(features))))


def divergence(mean: Float[Tensor, "*any"], log_variance: Float[Tensor, "*any"]) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence of normal distributions from the standard one, in nats, averaged over all numbers of
    the codes. Of mean 1 and variance 1: 0.5."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def columns_to_middle(values: Float[Tensor, "views rows width channels"]) -> Int[Tensor, " views"]:
    """By how many columns a panorama is rolled so that its light comes from the middle: the direction of the first
    harmonic of its brightness around the vertical, to whole columns."""
    rows, width = values.shape[1:3]
    weights = solid_angles(rows, width).to(values.device)
    around = torch.einsum("nrwc,r->nw", values.detach().double(), weights)
    angles = torch.arange(width, device=values.device, dtype=torch.float64) * (2 * math.pi / width)
    at = torch.atan2(around @ angles.sin(), around @ angles.cos()) / (2 * math.pi) * width
    return (width // 2 - at.round().long()) % width


def rolled(
    values: Float[Tensor, "views rows width channels"], turn: Int[Tensor, " views"]
) -> Float[Tensor, "views rows width channels"]:
    """Each to the right by its own number of columns."""
    return torch.stack([one.roll(int(columns), dims=1) for one, columns in zip(values, turn)])


def save_vae(path: Path, vae: PanoramaVAE, report: VAEReport) -> None:
    """Weights in 16 bits, with shape and report in the head of the file.

    Raises:
        OSError: it cannot be written.
    """
    about = {"shape": json.dumps(asdict(vae.shape)), "report": json.dumps(asdict(report))}
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in vae.state_dict().items()}
    with atomic_write(path) as stream:
        stream.write(save(tensors, about))


def load_vae(path: Path | None = None, code: CodeKind = "spatial") -> tuple[PanoramaVAE, VAEReport]:
    """One that `ft2s envmap train-vae` wrote, or the packaged one of a kind; frozen.

    Raises:
        ValueError: no such file, or damaged, or another model's.
    """
    if path is None:
        with as_file(files("fasttext2style.envmaps") / PACKAGED.format(code)) as packaged:
            return load_vae(packaged, code)
    if not path.is_file():
        raise ValueError(f"There is no VAE of panoramas at {path}; ft2s envmap train-vae makes one")
    try:
        with safe_open(path, framework="pt") as stored:
            about = stored.metadata() or {}
            shape = json.loads(about["shape"])
            vae = PanoramaVAE(VAEShape(**{**shape, "widths": tuple(shape["widths"])}))
            vae.load_state_dict({name: stored.get_tensor(name).float() for name in stored.keys()})  # noqa: SIM118
            report = VAEReport(**json.loads(about["report"]))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is no VAE of panoramas, or damaged ({type(error).__name__}: {reason})") from error
    if vae.shape.code != code:
        raise ValueError(f"{path} has codes of the kind {vae.shape.code}, expected {code}")
    return vae.eval().requires_grad_(False), report
