"""How a VAE of panoramas is built and trained: settings that can be read without torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fasttext2style.trust.typed import check_seed

CodeKind = Literal["global", "spatial"]
CURVES = ("pu21", "log")
LARGEST_ROWS, MOST_CHANNELS = 512, 1024


@dataclass(frozen=True)
class VAEShape:
    """What a VAE is made of. Its weights fit no other shape."""

    code: CodeKind
    """global: one vector for the whole panorama, as in the paper; spatial: a map of codes."""
    rows: int
    """Rows of the panoramas that it was trained on; a global one takes no others."""
    curve: Literal["pu21", "log"]
    """Between radiance and what the network sees."""
    widths: tuple[int, ...]
    """Channels at half of the rows, at a quarter, and so on down to the size of the code."""
    hidden: int
    """Length of Z, what the paper calls 'fc', before mean and log-variance; of a map, its channels."""
    latent: int
    """Length of the code; of a map, its channels."""

    def check(self) -> VAEShape:
        """Itself.

        Raises:
            ValueError: no such VAE.
        """
        levels = len(self.widths)
        known = self.code in ("global", "spatial") and self.curve in CURVES
        sizes = (*self.widths, self.hidden, self.latent)
        if not known or levels < 2 or not all(isinstance(size, int) and 0 < size <= MOST_CHANNELS for size in sizes):
            raise ValueError(f"A VAE of panoramas cannot have this shape: {asdict(self)}")
        if not 0 < self.rows <= LARGEST_ROWS or self.rows % 2**levels:
            raise ValueError(f"--rows should be a multiple of {2**levels} of up to {LARGEST_ROWS}, got {self.rows}")
        return self


ROWS = {"global": 64, "spatial": 64}
WIDTHS: dict[str, tuple[int, ...]] = {"global": (32, 64, 96, 128), "spatial": (32, 64, 96)}
HIDDEN = {"global": 192, "spatial": 64}
LATENT = {"global": 96, "spatial": 4}
KL = {"global": 3e-3, "spatial": 3e-4}


@dataclass(frozen=True)
class TrainVAE:
    """How a VAE is trained. The same settings on the same folder go the same way."""

    code: CodeKind = "spatial"
    """global: one vector for a whole panorama, the paper's, a strong prior that shows little; spatial: a map of codes
    at an eighth of the rows, which shows what is there."""
    rows: int = 0
    """Panoramas are learnt at this size; 0: that of the packaged ones, 64."""
    curve: Literal["pu21", "log"] = "pu21"
    """Reversible curve in which pictures are compared: pu21 (white is 100 nits) or a logarithm."""
    steps: int = 600
    """Steps of Adam."""
    batch: int = 6
    """Panoramas in each step, turned and mirrored at random, up to half a stop brighter or darker."""
    rate: float = 2e-3
    """Learning rate; it rises over the first 2 % of the steps and falls as a cosine to nothing."""
    kl: float | None = None
    """Weight of the divergence of the codes from a normal distribution; by default 0.003 for global, 0.0003 for
    spatial."""
    mix: float = 0.25
    """Share of panoramas of which all below the horizon is another one's."""
    look_every: int = 100
    """Steps between measurements on the validation panoramas, each with a picture and a checkpoint."""
    seed: int = 0
    """Draws first weights, batches, and the split of the folder."""
    widths: tuple[int, ...] = ()
    """Channels from the largest size to the smallest; by default those that the shipped ones have."""

    def check(self) -> TrainVAE:
        """Itself.

        Raises:
            ValueError: a setting outside of its limits.
        """
        for name in ("steps", "batch", "look_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} should be 1 or more, got {getattr(self, name)}")
        if not 0 < self.rate < math.inf:
            raise ValueError(f"--rate should be above 0, got {self.rate}")
        if self.kl is not None and not 0 <= self.kl < math.inf:
            raise ValueError(f"--kl is a weight of 0 or more, got {self.kl}")
        check_seed(self.seed, limit=2**32)
        if not 0 <= self.mix <= 1:
            raise ValueError(f"--mix is a share between 0 and 1, got {self.mix}")
        self.shape.check()
        return self

    @property
    def shape(self) -> VAEShape:
        kind = self.code
        rows, widths = self.rows or ROWS[kind], self.widths or WIDTHS[kind]
        return VAEShape(kind, rows, self.curve, widths, HIDDEN[kind], LATENT[kind])

    @property
    def kl_weight(self) -> float:
        return KL[self.code] if self.kl is None else self.kl


@dataclass
class VAEReport:
    """What is known of a trained VAE, kept with its weights."""

    steps: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    trained_on: list[str] = field(default_factory=list)
    """Names of panoramas, without their sizes."""
