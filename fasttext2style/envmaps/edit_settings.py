"""How a panorama is edited by a sentence: settings that can be read without torch; `inversion.py` carries them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fasttext2style.trust.typed import check_seed

Fields = Literal["pyramid", "pixels"]
Variables = Literal["pyramid", "pixels", "fc", "mulogvar", "spatial"]


@dataclass(frozen=True)
class ViewEditSettings:
    """How an image editor edits a panorama: in views that overlap."""

    passes: int = 2
    """Of an editor: how often all views are edited. From the second time on each begins with what its neighbours became
    and agrees with them better."""
    noise: tuple[float, float] = (0.7, 0.98)
    """Of an editor: from which noise level it starts, as a share of the schedule; 1 forgets the picture."""
    later_noise: tuple[float, float] = (0.3, 0.5)
    """Of an editor: the same from the second time on."""
    denoising: int = 20
    """Of an editor: denoising steps."""
    guidance: float = 7.5
    """Of an editor: how strongly to follow the text."""
    image_guidance: float = 1.5
    """Of an editor: how strongly to keep to the picture."""

    def check(self) -> ViewEditSettings:
        """Itself.

        Raises:
            ValueError: no pass; the rest is checked with the editor's requests.
        """
        if self.passes < 1:
            raise ValueError(f"--passes should be 1 or more, got {self.passes}")
        return self


@dataclass(frozen=True)
class EditSettings:
    """What is optimised, how long, and what holds it."""

    variables: Variables = "pyramid"
    """What is optimised. pyramid: stops of light at several sizes, smooth and without a seam; pixels: stops for each
    pixel by itself, which fools the encoder and looks like noise (the failing baseline of the paper); codes of a VAE
    of panoramas, which knows what they look like: fc: its layer Z, mulogvar: mean and log-variance of its code (both
    the paper's), spatial: a map of codes."""
    vae: str = ""
    """Of fc, mulogvar and spatial: a file of `ft2s envmap train-vae`; empty takes the packaged one."""
    detail: float = 1.0
    """Of fc, mulogvar and spatial: how much of the source stays that the VAE does not show; 0 is what the VAE paints,
    as in the paper, which forgets small things."""
    steps: int = 150
    """Steps of Adam."""
    rate: float = 0.08
    """Learning rate of the coarsest stops, in stops a step; of each finer size half of the one before. It rises over
    the first 5 % of the steps and falls over the last 25 %."""
    loss: str = "cosine"
    """How views are compared with the sentence. cosine: directly (the paper's Eq. 1); nll: against negative texts,
    which with the embedded encoder lends skies a colour of its own; directional: by the way from source_text to the
    sentence; one of your own as module:attribute; or several, such as cosine+directional."""
    source_text: str = "a photo"
    """What the panorama shows now, for the directional loss."""
    negatives: tuple[str, ...] = ()
    """Negative texts of your own instead of drawn ones."""
    temperature: float = 0.07
    """Divides the cosines in nll."""
    crops: int = 6
    """Views of 90 degrees in random directions at each step, beside the whole map, which is turned at random."""
    keep: float = 0.02
    """How strongly the original stays: weight of the mean squared change, in stops."""
    look: float = 50.0
    """How strongly sky, horizon and ground take the colours of the place that the sentence speaks of (a sunset, snow, a
    beach, a street): weight of the mean squared distance, in stops. 0: the encoder alone, as in the paper. For a
    sentence that speaks of no place that is known, and by an encoder that knows none, it does nothing."""
    smooth: float = 0.05
    """Weight of the change's total variation over the sphere, in stops per radian."""
    kl: float = 0.0
    """Weight of the divergence of the VAE's codes from a normal distribution (the paper's KL regularization)."""
    seed: int = 0
    """Draws negatives, turns and views."""

    def check(self) -> EditSettings:
        """Itself.

        Raises:
            ValueError: a setting outside of its limits; the loss is checked when it is loaded.
        """
        for name, least in (("steps", 1), ("crops", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"--{name} should be {least} or more, got {getattr(self, name)}")
        for name in ("rate", "temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"--{name} should be above 0, got {getattr(self, name)}")
        for name in ("keep", "look", "smooth", "kl"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"--{name} is a weight of 0 or more, got {getattr(self, name)}")
        check_seed(self.seed, limit=2**32)
        if not 0 <= self.detail <= 1:
            raise ValueError(f"--detail lies between 0 (the VAE's picture) and 1 (all of it), got {self.detail}")
        if self.variables in ("pyramid", "pixels") and (self.vae or self.kl or self.detail != 1):
            raise ValueError("--vae, --kl and --detail are for --variables fc, mulogvar or spatial")
        return self
