"""ft2s live: a session on a scene, in one short line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass
class Live:
    """Open a scene in the viewer and wait: point at an object, type, press Apply, undo, as often as you like.

    The ns-train line that it comes to is printed first.
    """

    scene: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")]
    """A 3DGS .ply, .spz, .sog or .splat (views are made around it), or the folder of a run."""
    options: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NS-TRAIN OPTIONS")] = ()
    """All that ns-train fasttext2style takes, such as --prompt SENTENCE or --encoder tiny."""
    rounds: bool = False
    """With an editor that follows instructions (fasttext2style-ip2p). Give this before the scene."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.live import open_live

        open_live(self.scene, self.rounds, self.options)
