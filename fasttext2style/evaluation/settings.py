"""What an evaluation measures with; light enough for a command line's help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(kw_only=True)
class EvaluationSettings:
    """What to measure with."""

    before: Path | None = None
    """Run, checkpoint or .ply to compare with; by default what the run started from."""
    caption: str = ""
    """What the edited scene shows, such as "a bear made of gold"; by default the run's prompt."""
    source_caption: str = "a photo"
    """What the scene showed before, such as "a stone bear"."""
    encoders: tuple[str, ...] = ()
    """Encoders that grade, each NAME or NAME:WEIGHTS (a tag of open_clip or a file); by default the one that the run
    optimised, and one that it did not."""
    lpips_weights: Path | None = None
    """File of torchvision's squeezenet1_1 weights; by default from torch's cache or the network, else without LPIPS."""
    split: Literal["eval", "train"] = "eval"
    """Views to measure on: "eval" (held out) or "train"."""
    max_views: int = 24
    """Of more views, so many are chosen evenly."""
    workers: str = "1"
    """Who looks at the views: 1, this process; 8, so many processes of Ray on this machine, each on a GPU of its own
    where there are GPUs; ray://HEAD:10001, those of a Ray cluster. More than 1 needs fasttext2style[workers]."""
