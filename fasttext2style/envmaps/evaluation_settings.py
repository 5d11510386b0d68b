"""The paper's comparison of encoders and variables: settings that can be read without torch."""

from __future__ import annotations

from dataclasses import dataclass

from fasttext2style.envmaps.edit_settings import EditSettings, Variables
from fasttext2style.trust.typed import check_seed

PROMPTS = (
    "sunset",
    "A sunset in a forest, cloudy, with trees",
    "A sunny day at the beach, clear sky, sand terrain",
)
"""Of the paper (6.1)."""
VARIANTS: dict[str, tuple[Variables, float, float]] = {
    "fc, no reg": ("fc", 0.0, 0.0),
    "fc, tv": ("fc", 1.0, 0.0),
    "mulogvar, no reg": ("mulogvar", 0.0, 0.0),
    "mulogvar, tv": ("mulogvar", 1.0, 0.0),
    "mulogvar, kl": ("mulogvar", 0.0, 1.0),
}
"""Rows of its table, for each encoder: variables, and whether there is total variation or divergence."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What is compared. As in the paper the whole map alone is compared with the sentence, and the VAE paints all."""

    encoders: tuple[str, ...] = ("offline", "panorama", "panorama-vae")
    """Those that are optimised, each NAME or NAME:WEIGHTS: untuned, tuned on photographs, and on reconstructions."""
    prompts: tuple[str, ...] = PROMPTS
    """Sentences."""
    panoramas: int = 9
    """How many of those that are held out for testing."""
    steps: int = 40
    """Of each edit."""
    rate: float = 0.2
    """Learning rate, in standard deviations of a code a step."""
    smooth: float = 0.05
    """Weight of total variation in rows called tv."""
    kl: float = 0.05
    """Weight of the divergence in rows called kl."""
    vae: str = ""
    """A file of `ft2s envmap train-vae` with a global code; empty takes the packaged one."""
    seed: int = 0
    """Of the split of the folder and of each edit."""

    def check(self) -> EvaluationSettings:
        """Itself.

        Raises:
            ValueError: a setting outside of its limits.
        """
        for name in ("encoders", "prompts"):
            if not getattr(self, name):
                raise ValueError(f"--{name} should name at least one")
        check_seed(self.seed, limit=2**32)
        if self.panoramas < 1:
            raise ValueError(f"--panoramas should be 1 or more, got {self.panoramas}")
        for variant in VARIANTS:
            self.edit(variant)
        return self

    def edit(self, variant: str) -> EditSettings:
        """How panoramas are edited in a row of the table."""
        variables, tv, kl = VARIANTS[variant]
        return EditSettings(
            variables=variables,
            vae=self.vae,
            steps=self.steps,
            rate=self.rate,
            crops=0,
            keep=0.0,
            detail=0.0,
            look=0.0,
            smooth=tv * self.smooth,
            kl=kl * self.kl,
            seed=self.seed,
        ).check()
