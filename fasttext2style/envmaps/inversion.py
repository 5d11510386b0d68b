"""A panorama edited by a sentence: a change of its light is optimised until views of it fit the sentence.

CLIP-guided Editing of Environment Maps using Inversion Techniques (D'Orazio). What is optimised (`variables.py`) are
codes of a VAE, as there, or without one a smooth change of light (`gains.py`), or, as the paper's failing baseline,
each pixel by itself. The encoder sees what a screen shows of the panorama at the exposure that brings its median to
middle grey.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.envmaps.edit_settings import EditSettings
from fasttext2style.envmaps.gains import DARKEST, lit, mean_square, total_variation
from fasttext2style.envmaps.light_edit import LightEdit
from fasttext2style.envmaps.looks import Look, look_for, seen_in
from fasttext2style.envmaps.resize import resized
from fasttext2style.envmaps.sphere import crops
from fasttext2style.envmaps.tones import exposed, to_display
from fasttext2style.envmaps.variables import variables_of
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.guidance.prompts import check_prompt, embed_prompt
from fasttext2style.guidance.text_loss import Compared, load_text_losses
from fasttext2style.scene.cameras import Cameras
from fasttext2style.trust.text import check_text

MOST_ROWS = 256
"""Of what is worked on; the change is then laid onto the panorama at its own size."""
FOV_DEGREES = 90.0
_PITCH_DEGREES = 35.0
_RISE, _FALL = 0.05, 0.25
"""Shares of the steps in which the learning rate rises and falls (StyleCLIP's optimisation)."""
_VIEWS_MEASURED = 12
_LARGE = 8
"""Rows of what is compared with the look of a place."""


class PanoramaEdit(LightEdit):
    """An edit by an encoder: `step` as often as the settings say, `apply` it to the panorama.

    Args:
        panorama: the source; it is only read.
        exposure_stops: what the encoder sees is exposed with; None brings the median to middle grey.
        rows: of what is worked on, a power of two from 16 on; None takes what the encoder needs.

    Raises:
        ValueError: a prompt without a word that the encoder knows, or settings out of range.
    """

    def __init__(
        self,
        panorama: Float[Tensor, "height width 3"],
        prompt: str,
        encoder: TextImageEncoder,
        settings: EditSettings,
        exposure_stops: float | None = None,
        rows: int | None = None,
    ) -> None:
        self.settings, self.encoder = settings.check(), encoder
        self._losses = load_text_losses(settings.loss)
        warning = check_words(encoder, prompt, settings)
        texts = embed_prompt(encoder, prompt, settings.negatives, seed=settings.seed)
        self._texts = texts.embeddings
        self._source_text = encoder.embed_texts([settings.source_text])[0]
        super().__init__(
            panorama, prompt, rows or working_rows(encoder), settings.steps, exposure_stops, self._texts.device
        )
        self.warning = warning
        self.look = look_for(prompt, encoder) if settings.look else None
        """What the sentence speaks of, if it speaks of a place that is known."""
        if self.look is not None:
            self._looked_for = _LookedFor(exposed(self._source, self.exposure_stops), self.look)
        self._variables = variables_of(settings, self._source, self.exposure_stops, self.device)
        self._optimizer = torch.optim.Adam(self._variables.groups)
        self._generator = torch.Generator().manual_seed(settings.seed)

    def step(self) -> float:
        """One step; returns the loss.

        Raises:
            ValueError: the loss is no longer finite; the change is that of the step before.
        """
        settings = self.settings
        for group in self._optimizer.param_groups:
            group["lr"] = group["of_rate"] * settings.rate * rate_factor(self.steps_done, settings.steps)
        change = self._variables.change(self._generator)
        seen = to_display(lit(self._source, change.stops, self.exposure_stops), self.exposure_stops)
        look = random_look(settings.crops, self.encoder.resolution, self.rows, self._generator)
        compared = Compared(
            self.encoder.embed_images(look(seen)),
            self._texts,
            self._source_text,
            settings.temperature,
            torch.no_grad()(lambda: self.encoder.embed_images(look(self._source_seen))),
        )
        loss = settings.keep * mean_square(change.moved) + settings.smooth * total_variation(change.moved)
        loss = loss + settings.kl * change.divergence
        if self.look is not None:
            loss = loss + settings.look * self._looked_for.distance(change.stops)
        for named in self._losses:
            loss = loss + named.loss(compared)
        if not bool(torch.isfinite(loss)):
            raise ValueError(f"The loss is no longer a number after {self.steps_done} steps: lower --rate")
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self.steps_done += 1
        return float(loss.detach())

    @torch.no_grad()
    def stops(self) -> Float[Tensor, "rows width 3"]:
        return self._variables.change().stops

    @torch.no_grad()
    def similarity(self, strength: float = 1.0) -> float:
        """Mean cosine between views of the panorama, the same at every call, and the sentence."""
        generator = torch.Generator().manual_seed(0)
        look = random_look(_VIEWS_MEASURED, self.encoder.resolution, self.rows, generator)
        images = self.encoder.embed_images(look(self.seen(strength).to(self.device)))
        return float((images @ self._texts[0]).mean())

    def metrics(self, strength: float = 1.0) -> dict[str, float]:
        return {"similarity_before": self.similarity(0.0), "similarity_after": self.similarity(strength)}

    def summary(self, metrics: Mapping[str, float]) -> str:
        return (
            f"Similarity to {self.prompt}, by {self.encoder.name}, which was optimised: "
            f"{metrics['similarity_before']:.3f} before, {metrics['similarity_after']:.3f} after."
        )

    def provenance(self) -> dict[str, Any]:
        settings = self.settings
        how = {"steps": self.steps_done, "loss": settings.loss, "variables": settings.variables}
        return how | {"encoder": self.encoder.name, "seed": settings.seed}


class _LookedFor:
    """The change in stops that gives a panorama the colours of a look: in large areas all of it, in smaller ones hues
    alone, where light and dark are the source's and the encoder's. Stops, for pictures have no slope once white."""

    def __init__(self, source: Float[Tensor, "rows width 3"], look: Look) -> None:
        self._rows = (_LARGE, max(_LARGE, len(source) // 4))
        shown, wanted = source.clamp_max(1), seen_in(source, look)
        self._stops = [
            ((resized(wanted, rows) + DARKEST) / (resized(shown, rows) + DARKEST)).log2() for rows in self._rows
        ]

    def distance(self, stops: Float[Tensor, "rows width 3"]) -> Float[Tensor, ""]:
        """Mean square over the sphere, in stops."""
        large, small = (resized(stops, rows) - there for rows, there in zip(self._rows, self._stops))
        return mean_square(large) + mean_square(small - small.mean(dim=2, keepdim=True))


def check_words(encoder: TextImageEncoder, prompt: str, settings: EditSettings) -> str:
    """What the user should know about a prompt, or "".

    Raises:
        ValueError: empty, or without a word that the encoder knows.
    """
    for text in (prompt, *settings.negatives, settings.source_text):
        check_text(text, "A text of the edit")
    if not prompt.strip():
        raise ValueError('There is no sentence: say what the surroundings become, such as --prompt "a sunset"')
    return check_prompt(encoder, prompt, settings.negatives)


def working_rows(encoder: TextImageEncoder) -> int:
    """Rows of what is worked on: a view of 90 degrees has as many pixels as the encoder looks at, up to `MOST_ROWS`."""
    return min(MOST_ROWS, 1 << max(4, math.ceil(math.log2(2 * encoder.resolution))))


def random_look(
    count: int, side: int, rows: int, generator: torch.Generator
) -> Callable[[Float[Tensor, "rows width 3"]], Float[Tensor, "views side side 3"]]:
    """What takes the same views of any panorama: the whole map, turned, and `count` views of it in random directions.

    Turned, for an encoder sees the borders of a map; whatever is there would be drawn towards them.
    """

    def uniform(most: float) -> Tensor:
        return most * (2 * torch.rand(count, generator=generator) - 1)

    turn = int(torch.randint(2 * rows, (), generator=generator))
    yaws, pitches = uniform(math.pi), uniform(math.radians(_PITCH_DEGREES))
    targets = torch.stack([pitches.cos() * yaws.cos(), pitches.cos() * yaws.sin(), pitches.sin()], dim=1)
    cameras = Cameras.looking_at(torch.zeros(count, 3), targets, side, side, FOV_DEGREES) if count else None

    def look(panorama: Tensor) -> Tensor:
        whole = panorama.roll(turn, dims=1).permute(2, 0, 1)[None]
        whole = F.interpolate(whole, (side, side), mode="bilinear", antialias=True).permute(0, 2, 3, 1)
        if cameras is None:
            return whole
        views = crops(panorama, Cameras(cameras.viewmats.to(whole), cameras.Ks.to(whole), side, side))
        return torch.cat([whole, views])

    return look


def rate_factor(step: int, steps: int) -> float:
    """Rises linearly over the first 5 % of the steps, falls as a cosine over the last 25 %; never 0."""
    at = (step + 1) / (steps + 1)
    rise = min(1.0, at / _RISE)
    fall = min(1.0, (1 - at) / _FALL)
    return rise * (0.5 - 0.5 * math.cos(math.pi * fall))
