"""ft2s select: choose an object once, look at it, use it everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.commands.shared import RunPath
from fasttext2style.selection.choice import SelectionSettings


@dataclass
class Select(SelectionSettings):
    """Select an object of a run, by text, clicks, masks, shapes, colour or automatically, and change selections.

    Writes a .npz for --object-file (of ns-train, and of this command again) and a picture of what is selected.
    """

    path: RunPath
    """Folder of a run of fasttext2style, fasttext2style-ip2p or fasttext2style-scene."""
    object_masks: Path | None = None
    """Folder of masks (white is the object), named like the photographs; implies masks."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The .npz; RUN/selections/object.npz by default. The picture lies beside it."""
    views: int = 4
    """Views in the picture; 0 makes none."""
    show: bool = False
    """Then open the scene in the viewer, the object marked, the training views with their numbers; a click there prints
    its --click VIEW X Y. Nothing can be changed there. Ctrl-C ends."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.select import select

        select(self.path, self, self.object_masks, self.output, self.views, self.show)
