"""How long a recipe takes and how much it leaves on the disk, reckoned from what was measured.

Seconds are those of docs/measurements.md, with the embedded encoder and editor: 2 virtual cores of a Xeon at 2.7 GHz
without a GPU; or one NVIDIA H200, which says so. What was not measured is not estimated: any other network; with CUDA
also reconstructions that go on for longer, where Gaussians become many more, and rounds of their usual length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_AROUND = 62 - 38
"""Seconds for start, selection and results: `make demo`, all in all, without its styling."""
_RECONSTRUCTION = (242 - 16 - _AROUND) / 3000
"""Seconds per step: the capture `bear` in all, without styling and what is around it, 3,000 steps."""
_STYLING = 16 / (200 * 4)
"""Seconds per step and view: `bear`, 200 steps of 4 views."""
_EDITING = 0.44
"""Seconds per view: the embedded editor, batches of 8."""
_TRAINING = (75 - _AROUND - 36 * _EDITING) / 300
"""Seconds per step of a round: `bear`, 3 rounds of 12 views and 100 steps, from a base run."""
_H200_STEPS = 7000
"""Of the reconstruction that was measured."""
_H200_AROUND = 71 - 60 - 4
"""As `_AROUND`: `bear` in all, without its reconstruction and styling."""
_H200_RECONSTRUCTION = 60 / _H200_STEPS
_H200_STYLING = 4 / (200 * 16)
"""Seconds per step and view: `bear`, the method's 200 steps of 16 views."""
_GAUSSIANS = {False: 97_586, True: 1_000_000}
"""Without CUDA: `bear`. With CUDA: assumed, for splatfacto's scenes have some hundred thousand to some millions."""
_OBJECT = 16_926 / 41_284
"""Share of the Gaussians that is the object: the smaller live session of that table."""
_CHECKPOINT = 59 * 4 * 3
"""Bytes per Gaussian: 59 numbers (SH degree 3), and two moments of Adam for each."""
_PLY = 24.2e6 / 97_586
"""Bytes per Gaussian of a .ply: `bear`, exported."""
_PIXEL = 2.1
"""Bytes per pixel of a .png: photographs of `bear` at 256 pixels, mean of twelve."""
_RESULTS = 5e6
"""Bytes of pictures, video, report and log."""


@dataclass(frozen=True)
class Estimate:
    """What a run takes."""

    seconds: float | None
    """None where nobody has measured it."""
    bytes: float
    """On the disk when it has ended."""
    on_h200: bool = False
    """Where the seconds were measured; else without a GPU."""

    @property
    def time(self) -> str:
        """Such as "about 4 min", or "about 4 min on an H200 (other GPUs differ)"."""
        if self.seconds is None:
            return "time not measured yet"
        where = " on an H200 (other GPUs differ)" if self.on_h200 else ""
        return (
            f"about {self.seconds / 60:.0f} min{where}" if self.seconds >= 90 else f"about {self.seconds:.0f} s{where}"
        )

    @property
    def disk(self) -> str:
        """Such as "130 MB"."""
        return f"{self.bytes / 1e9:.1f} GB" if self.bytes >= 1e9 else f"{max(1, round(self.bytes / 1e6))} MB"


def estimate(config: Any, photographs: int, width: int, height: int, on_cuda: bool) -> Estimate:
    """Time and disk of a run.

    Args:
        config: of fasttext2style or fasttext2style-ip2p.
        photographs: in the capture, `width` x `height` pixels large.
    """
    reconstructs = config.load_dir is None and config.load_ply is None and config.load_checkpoint is None
    steps = (config.reconstruction_steps or (30_000 if on_cuda else 3_000)) if reconstructs else 0
    gaussians = _GAUSSIANS[on_cuda]
    seconds: float | None = _AROUND + _RECONSTRUCTION * steps
    if on_cuda:
        seconds = _H200_AROUND + _H200_RECONSTRUCTION * steps if steps <= _H200_STEPS else None
    size = _RESULTS + gaussians * (_PLY + _CHECKPOINT * (2 if reconstructs else 1))
    pipeline = config.pipeline
    if config.live:
        return Estimate(seconds, size, on_cuda)
    if config.method_name == "fasttext2style":
        views = pipeline.styler.views_per_step or (16 if on_cuda else 4)
        if seconds is None or pipeline.encoder != "tiny":
            return Estimate(None, size)
        rate = _H200_STYLING if on_cuda else _STYLING
        return Estimate(seconds + rate * config.max_num_iterations * views, size, on_cuda)
    # Nine of ten photographs are trained on; the object is taken to be in all of them.
    plan = pipeline.rounds.schedule.resolved(max(1, round(0.9 * photographs)), on_cuda)
    edits = plan.views * sum(plan.edits_at(step) for step in range(plan.steps_per_round))
    limit = pipeline.datamanager.max_image_size or (max(width, height, 1) if on_cuda else 256)
    scale = min(1.0, limit / max(width, height, 1))
    # Before, edited, after; a mask is a tenth of a picture.
    pictures = 3.1 * min(edits, round(0.9 * photographs)) * _PIXEL * width * height * scale**2
    size += 59 * 4 * gaussians + plan.rounds * (pictures + gaussians * (_OBJECT * _CHECKPOINT + 4))
    if seconds is None or on_cuda or pipeline.editor != "tiny":
        return Estimate(None, size)
    return Estimate(seconds + plan.rounds * (_EDITING * edits + _TRAINING * plan.steps_per_round), size)
