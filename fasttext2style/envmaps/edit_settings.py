"""How a panorama is edited by a sentence: settings that can be read without torch; `inversion.py` carries them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Variables = Literal["pyramid", "pixels"]


@dataclass(frozen=True)
class EditSettings:
    """What is optimised, how long, and what holds it."""

    variables: Variables = "pyramid"
    """What is optimised. pyramid: stops of light at several sizes, smooth and without a seam; pixels: stops for each
    pixel by itself, which fools the encoder and looks like noise (the failing baseline of the paper)."""
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
    smooth: float = 0.05
    """Weight of the change's total variation over the sphere, in stops per radian."""
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
        for name in ("keep", "smooth"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"--{name} is a weight of 0 or more, got {getattr(self, name)}")
        return self
