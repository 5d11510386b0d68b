"""ft2s styles: many sentences on one object, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.commands.shared import RunPath


@dataclass
class Styles:
    """Try many sentences on the object of a run: one picture of all of them, and each is kept as an edit that is not
    in force. `ft2s history blend RUN EDIT 1`, or "Put back" in a live session, puts one in force; `ft2s history drop`
    takes it out. Interrupted, the same command goes on with those that are not done."""

    path: RunPath
    """Folder of a run of fasttext2style, fasttext2style-ip2p or fasttext2style-scene."""
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
    trust: bool = False
    """Import the encoder that the run's settings name as module:attribute, though you did not write the run on this
    machine."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.styles import StylesSettings, try_styles

        try_styles(
            self.path,
            StylesSettings(
                self.prompts,
                self.seeds,
                self.steps,
                self.encoder,
                self.encoder_weights,
                self.object_file,
                self.workers,
                self.output,
            ),
            self.trust,
        )
