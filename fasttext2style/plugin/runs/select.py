"""What `ft2s select` does: selection, algebra, files, and a picture to check them by."""

from __future__ import annotations

from pathlib import Path

import torch

from fasttext2style.evaluation.object_pictures import highlighted
from fasttext2style.evaluation.report import to_uint8, write_png
from fasttext2style.history.steps import run_folder
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.files.atomic import check_place
from fasttext2style.selection.choice import SelectionSettings
from fasttext2style.selection.choose import changed, choose, loaded
from fasttext2style.selection.doubts import doubts
from fasttext2style.terminal.console import say, warn
from fasttext2style.trust.lock import WriteLock
from fasttext2style.trust.text import one_line


def select(
    path: Path,
    settings: SelectionSettings,
    object_masks: Path | None,
    output: Path | None,
    views_in_picture: int,
    show: bool = False,
) -> Path:
    """Select, change, write, draw; returns the file.

    Args:
        path: folder of a run.
        settings: what to select, and what to do with it.
        object_masks: folder of masks of the object, named like the photographs.
        output: the .npz; None is selections/object.npz in the run's folder.
        views_in_picture: 0 draws none.
        show: open a viewer at the end, until Ctrl-C.

    Raises:
        ValueError: no run, nothing selected, or options that do not fit together.
    """
    if output is not None and output.suffix != ".npz":
        raise ValueError(f"A selection is written as .npz, got --output {output}")
    if views_in_picture < 0:
        raise ValueError(f"--views counts those in the picture, 0 for none, got {views_in_picture}.")
    settings.check()
    if object_masks is not None and settings.object.kind not in ("auto", "masks"):
        raise ValueError(
            f"The object is chosen by {settings.object.kind}, so --object-masks would say nothing: give one of them."
        )
    output = check_place(run_folder(path) / "selections" / "object.npz" if output is None else output)
    run, _, state = open_run_with_history(path, object_masks)
    scene, cameras = state.gaussians().detach(), run.cameras()
    if settings.existing is not None:
        loaded(settings.existing, scene, "--existing")  # before what takes its time
    none_before = torch.ones(len(scene))
    selection = choose(settings.object, scene, cameras, run.masks(), none_before, object_masks is not None)
    selection = changed(settings, scene, selection)
    if selection.count == 0:
        raise ValueError(
            f"Nothing is left of {one_line(selection.origin)}; nothing was written. Choose more, or check that "
            "masks show the object in white."
        )
    if output.resolve().is_relative_to(run.folder.resolve()):
        with WriteLock(run.folder):
            selection.save(output)
    else:
        selection.save(output)
    say(f"{selection.count:,} of {len(scene):,} Gaussians: {one_line(selection.origin)}")
    for doubt in doubts(scene, cameras, selection.weights):
        warn(doubt)
    say(f"Use it with: --object-file {output}")
    if views_in_picture > 0:
        picture = output.with_suffix(".png")
        marked = highlighted(scene, selection.weights, cameras.evenly(views_in_picture))
        write_png(picture, to_uint8(torch.cat(list(marked), dim=1)))
        say(f"Picture: {picture} (training views are {cameras.width} x {cameras.height} pixels)")
    if show:
        # Here: the viewer takes a second to import.
        from fasttext2style.plugin.viewer.show import show_until_interrupted

        show_until_interrupted(run.pipeline, run.folder, scene, selection.weights)
    return output
