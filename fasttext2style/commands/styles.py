"""ft2s styles: many sentences on one object, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from fasttext2style.commands.shared import RunPath
from fasttext2style.sweeps.settings import StylesSettings


@dataclass
class Styles(StylesSettings):
    """Try many sentences on the object of a run: one picture of all of them, and each is kept as an edit that is not
    in force. `ft2s history blend RUN EDIT 1`, or "Switch on" in a live session, puts one in force; `ft2s history drop`
    takes it out. Interrupted, the same command goes on with those that are not done."""

    path: RunPath
    """Folder of a run of fasttext2style, fasttext2style-ip2p or fasttext2style-scene."""
    trust: bool = False
    """Import the encoder that the run's settings name as module:attribute, though you did not write the run on this
    machine."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.styles import try_styles

        try_styles(self.path, self, self.trust)
