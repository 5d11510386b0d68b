"""ft2s views: the training views with their numbers and pixels, for clicks on a command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.commands.shared import RunPath


@dataclass
class Views:
    """Draw the training views of a run with their numbers and pixel rulers, for --click VIEW X Y and --rectangle."""

    path: RunPath
    """Folder of a run of fasttext2style, fasttext2style-ip2p or fasttext2style-scene."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The .png; RUN/views.png by default."""
    at_most: int = 24
    """So many views, evenly spread over all."""
    only: tuple[int, ...] = ()
    """These views alone."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.views import write_views

        write_views(self.path, self.output, self.at_most, self.only)
