"""ft2s capture: views of a .ply that came without photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import tyro

from fasttext2style.terminal.console import say


@dataclass
class Capture:
    """Make a capture of a 3DGS .ply that came without one: cameras around it, its renders as photographs.

    Look at the images first: if the scene stands on its head or is seen from a bad side, set --up and --inside.
    """

    ply: tyro.conf.Positional[Path]
    """The scene."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The folder; capture-of-NAME beside the .ply by default."""
    up: Literal["auto", "x", "y", "z", "-x", "-y", "-z"] = "auto"
    """Where up is; guessed by level surfaces."""
    inside: bool = False
    """From the middle of the scene outwards, for rooms; otherwise around it."""
    drop_invalid: bool = False
    """Leave out Gaussians that are no numbers, as in ns-train."""
    size: int = 256
    """Side of the photographs in pixels."""

    def run(self) -> None:
        from fasttext2style.captures.from_scene import capture_of_scene
        from fasttext2style.scene.files.atomic import check_folder

        folder = check_folder(self.output or self.ply.parent / f"capture-of-{self.ply.stem}")
        capture_of_scene(self.ply, folder, self.up, self.inside, self.size, self.drop_invalid)
        say("Style it with:")
        say(
            f"  ns-train fasttext2style --data {quote(str(folder))} --load-ply {quote(str(self.ply))} --prompt "
            '"a bear made of gold" nerfstudio-data --orientation-method none --center-method none '
            "--auto-scale-poses False",
            wrap=False,
        )
