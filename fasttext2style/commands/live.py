"""ft2s live: a session on a scene, in one short line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fasttext2style.commands.shared import errors_in_words


@dataclass
class Live:
    """Open a scene in the viewer and wait: point at an object, type, press Apply, undo, as often as you like.

    The same as ns-train fasttext2style --live True, which it prints; add whatever that takes.
    """

    scene: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")]
    """A 3DGS .ply, .spz or .splat (views of it are made if you name no --data), or the folder of a run."""
    options: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NS-TRAIN OPTIONS")] = ()
    """All that ns-train fasttext2style takes, such as --prompt SENTENCE, --encoder tiny, --viewer.websocket-port 7010."""
    method: Literal["fasttext2style", "fasttext2style-ip2p"] = "fasttext2style"
    """By a sentence, or by an instruction in rounds. It stands before the scene."""

    def run(self) -> None:
        with errors_in_words():
            from fasttext2style.plugin.runs.live import open_live

            open_live(self.scene, self.method, self.options)
