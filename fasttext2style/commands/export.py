"""ft2s export: the scene of a run, its object, or the rest, as one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fasttext2style.commands.shared import RunPath
from fasttext2style.terminal.console import say


@dataclass
class Export:
    """Write the scene of a run, only its object, or all but the object, to .ply, .spz or .splat; what is around the
    scene beside it, as NAME_surroundings.hdr."""

    path: RunPath
    """Folder of a run of fasttext2style or fasttext2style-ip2p."""
    what: Literal["scene", "selection", "rest"] = "scene"
    """The whole scene, the object, or all but the object."""
    format: Literal["ply", "spz", "splat"] | None = None
    """ply (the default) keeps every bit and opens everywhere; spz is a tenth of that, splat an eighth without view
    dependence, both for viewers in a browser. Not needed when --output ends in one of them."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The file; RUN/exports/scene.ply and the like by default."""
    threshold: float | None = None
    """Gaussians with a selection weight above this are the object; 0.5 if not given."""

    def run(self) -> None:
        from fasttext2style.envmaps.around import export_around
        from fasttext2style.history.steps import run_folder
        from fasttext2style.plugin.runs.history import open_run_with_history
        from fasttext2style.scene.files.atomic import check_place
        from fasttext2style.scene.files.export import OBJECT_THRESHOLD, check_suffix, export

        output = self.output or run_folder(self.path) / "exports" / f"{self.what}.{self.format or 'ply'}"
        if self.format is not None and output.suffix != f".{self.format}":
            output = output.with_name(f"{output.name}.{self.format}")
        check_suffix(output)
        output = check_place(output)
        threshold = OBJECT_THRESHOLD if self.threshold is None else self.threshold
        if not 0 <= threshold < 1:
            raise ValueError(f"--threshold lies in [0, 1), as weights do, got {threshold}.")
        run, history, state = open_run_with_history(self.path)
        count = export(output, state.gaussians(), state.selection, self.what, threshold)
        say(f"{count:,} Gaussians, {output.stat().st_size / 1e6:.1f} MB: {output}")
        # An object alone is looked at in other surroundings.
        if self.what != "selection":
            around = export_around(output, history, run.model.background_color)
            if around is not None:
                say(f"What is around the scene: {around}")
