"""What `ft2s editor` takes of a run: its views as they look now, and where its object is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fasttext2style.plugin.runs.history import open_run_with_history
from fasttext2style.scene.cameras import evenly_spread
from fasttext2style.scene.rasterize import render, render_values

USUAL_VIEWS = 32


class ObjectViews(NamedTuple):
    images: Tensor
    """[views, height, width, 3] in [0, 1], on the CPU."""
    masks: Tensor
    """[views, height, width, 1]: how much of each pixel shows the object."""
    prompt: str
    names: tuple[str, ...]
    """CAPTURE/PHOTOGRAPH: the same for all runs of a capture, however many views are taken."""


@torch.no_grad()
def object_views(path: Path, at_most: int = 0) -> ObjectViews:
    """Up to `at_most` training views of a run, evenly spread.

    Raises:
        ValueError: no run, or one in which no object was ever selected.
    """
    run, _, state = open_run_with_history(path)
    scene, is_object = state.gaussians().detach(), (state.selection > 0).float()[:, None].to(run.device)
    if bool((is_object > 0).all()):
        raise ValueError(f"{run.folder} has no object: all of its scene is selected. Select one first: ft2s select.")
    cameras = run.cameras()
    chosen = evenly_spread(len(cameras), at_most or USUAL_VIEWS)
    images, masks = [], []
    for view in chosen:
        images.append(render(scene, cameras[view])[0].clamp(0, 1).cpu())
        masks.append(render_values(scene, cameras[view], is_object)[0].clamp(0, 1).cpu())
    theirs: Any = run.config.pipeline.datamanager
    capture = Path(run.config.data or theirs.data or theirs.dataparser.data).resolve().name
    photographs = run.photograph_names("train")
    names = tuple(f"{capture}/{photographs[view]}" for view in chosen)
    return ObjectViews(torch.cat(images), torch.cat(masks), run.prompt, names)
