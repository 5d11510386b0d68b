"""ft2s turntable: a video once around the object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.commands.shared import RunPath
from fasttext2style.terminal.console import say


@dataclass
class Turntable:
    """Make a video that goes once around the object of a run."""

    path: RunPath
    """Folder of a run of fasttext2style or fasttext2style-ip2p."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The .mp4; RUN/exports/turntable.mp4 by default."""
    before: bool = False
    """Beside it the scene as it was before its edits."""
    alone: bool = False
    """The object without its surroundings."""
    seconds: float = 6.0
    """Length."""
    size: int = 512
    """Side of the pictures in pixels."""
    frames_per_second: int = 24
    """Of the video."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.turntable import write_turntable

        settings = (self.before, self.alone, self.seconds, self.size, self.frames_per_second)
        say(f"Video: {write_turntable(self.path, self.output, *settings)}")
