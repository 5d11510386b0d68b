"""What `ft2s views` does: a sheet of the training views, numbered, with pixel rulers."""

from __future__ import annotations

from pathlib import Path

import torch

from fasttext2style.evaluation.object_pictures import ruled_sheet
from fasttext2style.evaluation.report import write_png
from fasttext2style.history.steps import run_folder
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.cameras import evenly_spread
from fasttext2style.scene.files.atomic import check_place
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.choice import check_view
from fasttext2style.terminal.console import say


@torch.no_grad()
def write_views(path: Path, output: Path | None, at_most: int, only: tuple[int, ...]) -> Path:
    """Write the sheet; returns the file.

    Args:
        path: folder of a run.
        output: the .png; None is views.png in the run's folder.
        at_most: so many views, evenly spread, if `only` names none.
        only: numbers of views.

    Raises:
        ValueError: no such run, no such view, or not one is asked for.
    """
    if output is not None and output.suffix != ".png":
        raise ValueError(f"The views are written as .png, got --output {output}")
    if at_most < 1:
        raise ValueError(f"--at-most is 1 view or more, got {at_most}.")
    output = check_place(run_folder(path) / "views.png" if output is None else output)
    run, _, state = open_run_with_history(path)
    cameras = run.cameras()
    for number in only:
        check_view(number, len(cameras))
    numbers = list(only) or evenly_spread(len(cameras), at_most)
    scene = state.gaussians().detach()
    images = torch.cat([render(scene, cameras[number])[0].clamp(0, 1) for number in numbers])
    write_png(output, ruled_sheet(images, numbers))
    say(f"{len(numbers)} of {len(cameras)} training views of {cameras.width} x {cameras.height} pixels: {output}")
    say("A point on the object: ft2s select RUN --click VIEW X Y, or ns-train ... --object-click VIEW X Y")
    return output
