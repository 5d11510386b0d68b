"""What is tried, and how; light enough for a command line's help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.trust.typed import LARGEST_SEED
from fasttext2style.workers.choice import WorkersChoice, read_workers


@dataclass(kw_only=True)
class StylesSettings:
    """As the command `ft2s styles` has them."""

    prompts: Path | None = None
    """A text file with a sentence a line; lines that begin with # are remarks. By default a built-in list of materials
    and patterns."""
    seeds: tuple[int, ...] = ()
    """Try each sentence with each of these; by default with the run's own."""
    steps: int = 0
    """Styling steps a sentence; 0 takes the run's (200 for a run that styles nothing itself)."""
    encoder: str = ""
    """What compares pictures with sentences, as for ns-train; by default the run's."""
    encoder_weights: str = ""
    """Tag or file of its weights."""
    object_file: Path | None = None
    """A selection of `ft2s select`; without it the run's own object."""
    workers: str = "1"
    """Who tries them: 1, this process; 8, so many processes of Ray on this machine, each on a GPU of its own where
    there are GPUs; ray://HEAD:10001, those of a Ray cluster. More than 1 needs fasttext2style[workers]."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The picture, a .png; beside it a .json with the numbers. By default RUN/styles/NAME.png, with the name of the
    file of sentences."""

    def check(self) -> WorkersChoice:
        """Raises ValueError for settings that cannot be; nothing is loaded."""
        if self.steps < 0:
            raise ValueError(f"--steps counts styling steps, 1 or more (0: as the run has it), got {self.steps}.")
        if len({*self.seeds}) < len(self.seeds):
            raise ValueError(f"--seeds names one seed twice: {' '.join(map(str, self.seeds))}.")
        if wrong := [seed for seed in self.seeds if not 0 <= seed < LARGEST_SEED]:
            raise ValueError(f"--seeds are whole numbers from 0 to 2^63 - 1, got {wrong[0]}.")
        if self.output is not None and self.output.suffix.lower() != ".png":
            raise ValueError(f"The picture is written as .png, got --output {self.output}.")
        if self.encoder_weights and not self.encoder:
            raise ValueError("--encoder-weights belong to an encoder: give --encoder, too.")
        return read_workers(self.workers, typed=True)
