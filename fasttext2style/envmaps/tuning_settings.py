"""How an encoder is tuned on panoramas: settings that can be read without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fasttext2style.trust.typed import check_seed


@dataclass(frozen=True)
class TuneSettings:
    """What it sees, and how long. The same settings on the same folder go the same way."""

    on: Literal["photographs", "vae"] = "photographs"
    """photographs: panoramas as they are (the paper's 'polyhaven'); vae: what a VAE leaves of them (its 'vae')."""
    vae: str = ""
    """Of vae: a file of `ft2s envmap train-vae` with a global code; empty takes the packaged one."""
    views: int = 24
    """Of offline: views of each panorama, the whole map, turned, and crops of 90 degrees."""
    ridge: float = 1.0
    """Of offline: how strongly what it learns is held down."""
    centres: int = 700
    """Of offline: views to which others are compared; each adds 4 kB."""
    sharpness: float = 1.0
    """Of offline: how fast likeness falls with distance."""
    colours: float = 6.0
    """Of offline: how much colours count beside things and textures."""
    steps: int = 400
    """Of models of open_clip: steps of Adam."""
    rate: float = 5e-6
    """Of models of open_clip: learning rate."""
    temperature: float = 0.1
    """Of models of open_clip: divides the cosines of the contrast."""
    batch: int = 16
    """Of models of open_clip: panoramas in each step."""
    blocks: int = 1
    """Of models of open_clip: how many of the last blocks of both towers learn."""
    seed: int = 0
    """Draws views, sentences, and the split of the folder."""

    def check(self) -> TuneSettings:
        """Itself.

        Raises:
            ValueError: a setting outside of its limits.
        """
        for name, least in (("steps", 1), ("views", 2), ("batch", 2), ("blocks", 1), ("centres", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"--{name} should be {least} or more, got {getattr(self, name)}")
        check_seed(self.seed, limit=2**32)
        for name in ("rate", "temperature", "ridge", "sharpness", "colours"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"--{name} should be above 0, got {getattr(self, name)}")
        return self
