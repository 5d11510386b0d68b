"""Which Gaussians are the object: from masks, a shape, a file, an earlier run, or what most views look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection


@dataclass
class ObjectChoice:
    """How the object is chosen."""

    by: Annotated[
        Literal["auto", "masks", "box", "sphere", "file", "everything"], tyro.conf.arg(aliases=["--object"])
    ] = "auto"
    """"auto": the object of the run that is loaded, else masks if --pipeline.datamanager.object-masks names some, else
    what most views look at. "masks": the capture's mask files (or object-masks). "box", "sphere": a shape in scene
    coordinates. "file": weights from --object-file. "everything": the whole scene."""
    file: Annotated[Path | None, tyro.conf.arg(aliases=["--object-file"])] = None
    """.npy (a weight in [0, 1] per Gaussian) or .npz selection; implies "file"."""
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Center of the box or sphere, in scene coordinates (those that ns-viewer shows)."""
    size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Edge lengths of the box along its own axes."""
    yaw_degrees: float = 0.0
    """Rotation of the box about the vertical (z) axis."""
    radius: float = 0.5
    """Radius of the sphere."""

    def select(
        self, scene: Gaussians, cameras: Cameras, masks: Tensor | None, previous: Tensor, masks_are_ours: bool
    ) -> Selection:
        """The object of a scene.

        Args:
            scene: all Gaussians.
            cameras: training views.
            masks: [views, height, width] object masks, or None.
            previous: [gaussians] weights that came with the loaded run; all ones when there were none.
            masks_are_ours: the masks were given for this purpose.

        Raises:
            ValueError: what was asked for is not there, or selects nothing.
        """
        if self.file is not None:
            return _loaded(self.file, len(scene))
        match self.by:
            case "file":
                raise ValueError("--object file needs --object-file: a .npy with one weight in [0, 1] per Gaussian.")
            case "everything":
                return Selection.everything(len(scene))
            case "box":
                from fasttext2style.selection.shapes import select_box

                return select_box(scene, self.center, self.size, _yaw(self.yaw_degrees))
            case "sphere":
                from fasttext2style.selection.shapes import select_sphere

                return select_sphere(scene, self.center, self.radius)
            case "masks":
                return _lifted(scene, cameras, masks)
        if masks is not None and masks_are_ours:
            return _lifted(scene, cameras, masks)
        if not bool((previous == 1).all()):
            return Selection(previous, "the object of the loaded run")
        from fasttext2style.selection.automatic import select_automatic

        return select_automatic(scene, cameras)


def _loaded(path: Path, count: int) -> Selection:
    if not path.is_file():
        raise ValueError(f"--object-file {path} does not exist; expected a .npy or .npz of {count:,} weights.")
    selection = Selection.load(path)
    selection.check_matches(count)
    return selection


def _lifted(scene: Gaussians, cameras: Cameras, masks: Tensor | None) -> Selection:
    if masks is None:
        raise ValueError(
            "--object masks: the capture has no masks. Give --pipeline.datamanager.object-masks a folder of pictures "
            "named like the photographs (white is the object), or mask_path in transforms.json."
        )
    from fasttext2style.selection.lifting import lift_masks

    return lift_masks(scene, cameras, masks)


def _yaw(degrees: float) -> Tensor:
    angle = torch.deg2rad(torch.tensor(float(degrees)))
    cos, sin = float(angle.cos()), float(angle.sin())
    return torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
