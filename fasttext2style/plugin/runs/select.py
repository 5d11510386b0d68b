"""What `ft2s select` does: selection, algebra, files, and a picture to check them by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor

from fasttext2style.evaluation.report import to_uint8, write_png
from fasttext2style.plugin.host.outputs import marked
from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import rasterize, render
from fasttext2style.selection import algebra
from fasttext2style.selection.selection import Selection

if TYPE_CHECKING:
    from fasttext2style.commands.select import Select

TINT = 0.5


def select(options: Select) -> Path:
    """Select, change, write, draw; returns the file.

    Raises:
        ValueError: no run, nothing selected, or options that do not fit together.
    """
    output = options.output or options.path / "selections" / "object.npz"
    if output.suffix != ".npz":
        raise ValueError(f"A selection is written as .npz, got --output {output}")
    if (options.combine is None) != (options.existing is None):
        raise ValueError("--combine union, minus or intersect and --existing FILE need each other: give both or none")
    run, _, state = open_run_with_history(options.path, options.object_masks)
    scene, cameras = state.gaussians().detach(), run.cameras()
    masks_are_ours = options.object_masks is not None
    selection = options.object.select(scene, cameras, run.masks(), torch.ones(len(scene)), masks_are_ours)
    selection = changed(options, scene, selection)
    if selection.count == 0:
        raise ValueError(f"Nothing is left of {selection.origin}; nothing was written")
    selection.save(output)
    CONSOLE.print(f"{selection.count:,} of {len(scene):,} Gaussians: {selection.origin}", highlight=False)
    CONSOLE.print(f"Use it with: --object-file {output}", highlight=False, soft_wrap=True)
    if options.views > 0:
        picture = output.with_suffix(".png")
        write_png(picture, to_uint8(highlighted(scene, selection, cameras, options.views)))
        CONSOLE.print(
            f"Picture: {picture} (training views are {cameras.width} x {cameras.height} pixels)",
            highlight=False,
            soft_wrap=True,
        )
    return output


def changed(options: Select, scene: Gaussians, selection: Selection) -> Selection:
    """A selection after all that the options ask for, in the order of their names in the help."""
    if options.threshold is not None:
        selection = algebra.thresholded(selection, options.threshold)
    if options.combine is not None and options.existing is not None:
        existing = Selection.load(options.existing)
        existing.check_matches(scene)
        combine = {"union": algebra.union, "minus": algebra.minus, "intersect": algebra.intersect}[options.combine]
        selection = combine(existing, selection)
    if options.keep_largest:
        selection = algebra.largest_component(scene, selection)
    if options.grow:
        selection = algebra.grow(scene, selection, options.grow)
    if options.shrink:
        selection = algebra.shrink(scene, selection, options.shrink)
    return algebra.invert(selection) if options.invert else selection


@torch.no_grad()
def highlighted(
    scene: Gaussians, selection: Selection, cameras: Cameras, views: int
) -> Float[Tensor, "height sheet_width 3"]:
    """Some views side by side, the object tinted and outlined."""
    some = torch.linspace(0, len(cameras) - 1, min(views, len(cameras))).round().long()
    pictures = []
    for view in cameras[some.to(cameras.device)]:
        geometry = (scene.means, scene.quats, scene.scales, scene.opacities)
        weights = selection.weights.to(scene.means)[:, None]
        coverage, _, _ = rasterize(*geometry, weights, view.viewmats, view.Ks, view.width, view.height)
        pictures.append(marked(render(scene, view)[0][0].clamp(0, 1), coverage[0].clamp(0, 1), TINT))
    return torch.cat(pictures, dim=1)
