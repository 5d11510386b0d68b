"""The networks that rounds need, loaded once and never trained."""

from __future__ import annotations

from dataclasses import dataclass

from fasttext2style.editors.editor import ImageEditor
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.rounds.losses import PerceptualLoss
from fasttext2style.rounds.workers import Workers


@dataclass(frozen=True)
class Tools:
    """Frozen networks, outside of all modules: they are no part of a checkpoint."""

    editor: ImageEditor | Workers
    """What edits pictures: one editor, or several workers."""
    perceptual: PerceptualLoss | None = None
    """LPIPS; None if its weights are unavailable, or it is not wanted."""
    encoder: TextImageEncoder | None = None
    """Of the text loss; None without one."""
