"""What edits of a panorama have in common, whoever makes them: a change of light at the working size, which is then
laid onto the panorama at its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.gains import light, lit
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.sphere import solid_angles
from fasttext2style.envmaps.tones import luminance, middle_exposure, to_display


@dataclass(frozen=True)
class Light:
    """Light from all sides, luminance times solid angle, before and after."""

    before: float
    after: float
    lamps_before: float
    """Of what a screen shows as white: suns and lamps."""
    lamps_after: float
    """Of the same pixels."""

    def __add__(self, other: Light) -> Light:
        """Of two parts of a panorama."""
        parts = ((getattr(one, field.name) for field in fields(Light)) for one in (self, other))
        return Light(*map(sum, zip(*parts)))

    def __str__(self) -> str:
        whole = f"Light from all sides: {self.before:.4g} before, {self.after:.4g} after"
        if self.lamps_before == 0:
            return f"{whole}; nothing was brighter than white"
        kept = self.lamps_after / self.lamps_before
        return f"{whole}; of what is brighter than white, suns and lamps, {kept:.1%} stayed"


class LightEdit(ABC):
    """One edit while it is made: `step` until `steps_done` are `steps`, then `apply` it to the panorama.

    Args:
        panorama: the source; it is only read.
        rows: of what is worked on.
        steps: that it takes.
        exposure_stops: with which it is seen; None brings the median to middle grey.
    """

    def __init__(
        self,
        panorama: Float[Tensor, "height width 3"],
        prompt: str,
        rows: int,
        steps: int,
        exposure_stops: float | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.prompt, self.rows, self.steps, self.device = prompt, rows, steps, torch.device(device)
        self.steps_done = 0
        self.warning = ""
        """What the user should know before it begins."""
        # Smaller panoramas are worked on at this size, too: crops of them would have no pixels.
        self._source = resized(panorama, rows).to(self.device, torch.float32)
        self.exposure_stops = middle_exposure(self._source) if exposure_stops is None else float(exposure_stops)
        self._source_seen = to_display(self._source, self.exposure_stops)

    @abstractmethod
    def step(self) -> float | str:
        """One step; returns the loss, or what was done.

        Raises:
            ValueError: it cannot go on; the change is that of the step before.
        """

    @abstractmethod
    def stops(self) -> Float[Tensor, "rows width 3"]:
        """The change as it is now, for `gains.lit`."""

    @abstractmethod
    def metrics(self, strength: float = 1.0) -> dict[str, float]:
        """What came of it, measured."""

    @abstractmethod
    def summary(self, metrics: Mapping[str, float]) -> str:
        """What `metrics` found, as a sentence."""

    @abstractmethod
    def provenance(self) -> dict[str, Any]:
        """How it was made, fit for JSON: the encoder or the editor, and the seed."""

    @torch.no_grad()
    def seen(self, strength: float = 1.0) -> Float[Tensor, "rows width 3"]:
        """The panorama as it is shown now: sRGB at the working size; at strength 0 as it was."""
        return to_display(lit(self._source, strength * self.stops(), self.exposure_stops), self.exposure_stops).cpu()

    @torch.no_grad()
    def apply(
        self,
        panorama: Float[Tensor, "height width 3"],
        strength: float = 1.0,
        above: int = 0,
        rows: int | None = None,
    ) -> Light:
        """Change the panorama, in place and at its own size, and say what became of its light.

        Args:
            strength: 0 changes no bit, 1 is the edit as it was made.
            above, rows: as of `gains.light`.
        """
        angles = solid_angles(rows or len(panorama), panorama.shape[1])[above : above + len(panorama)]
        is_lamp = luminance(panorama) > 2.0**-self.exposure_stops
        before, lamps_before = _light_of(panorama, is_lamp, angles)
        light(panorama, self.stops().to(panorama), self.exposure_stops, strength, above, rows)
        after, lamps_after = _light_of(panorama, is_lamp, angles)
        return Light(before, after, lamps_before, lamps_after)


def _light_of(panorama: Tensor, is_lamp: Tensor, angles: Tensor) -> tuple[float, float]:
    """Luminance times solid angle, of all and of some pixels."""
    shine = luminance(panorama).double()
    return tuple(float(angles.to(shine) @ it.sum(dim=1)) for it in (shine, shine * is_lamp))  # pyright: ignore[reportReturnType]
