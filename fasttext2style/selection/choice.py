"""Which Gaussians are the object: by a text, clicks, masks, a shape, a colour, a file, an earlier run, or by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from torch import Tensor

from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.picking import Picked, pick
from fasttext2style.selection.selection import Selection

Kind = Literal["auto", "text", "clicks", "masks", "rectangle", "box", "sphere", "color", "file", "everything"]
Click = tuple[int, float, float]
"""Number of a training view, from 0 in the order of the photographs' names, and x, y in its pixels."""


@dataclass
class ObjectChoice:
    """How the object is chosen."""

    by: Annotated[Kind, tyro.conf.arg(aliases=["--object"])] = "auto"
    """"auto": what the options below imply, else the object of the run that is loaded, else masks if
    --pipeline.datamanager.object-masks names some, else what most views look at. "masks": the capture's mask files (or
    object-masks). "box", "sphere": a shape in scene coordinates. "color": that of the first click. "everything": the
    whole scene. The others by the options of their names."""
    text: Annotated[str, tyro.conf.arg(aliases=["--object-text"])] = ""
    """What to select, such as "the bear"; implies "text"."""
    segmenter: Annotated[str, tyro.conf.arg(aliases=["--object-segmenter"])] = "clipseg"
    """What finds it: clipseg, grounded-sam, sam3, or a model of one of these kinds by hub name or folder; "encoder" is
    embedded, rough, and knows colours and materials (`ft2s words`)."""
    click: Annotated[list[Click], tyro.conf.UseAppendAction, tyro.conf.arg(aliases=["--object-click"])] = field(
        default_factory=list
    )
    """VIEW X Y: a point on the object; repeat it for more. VIEW counts the training photographs by name from 0, X and Y
    are pixels of that view as it is trained on (`ft2s select` prints the size). Implies "clicks"."""
    not_click: Annotated[list[Click], tyro.conf.UseAppendAction, tyro.conf.arg(aliases=["--object-not-click"])] = field(
        default_factory=list
    )
    """VIEW X Y: a point that is not on the object."""
    tolerance: float = 0.0
    """Of clicks and of colour: higher takes in what is less alike; 0 is the default: 2 for clicks, 0.1 for colour."""
    rectangle: Annotated[
        tuple[int, float, float, float, float] | None, tyro.conf.arg(aliases=["--object-rectangle"])
    ] = None
    """VIEW X0 Y0 X1 Y1: what is seen in front inside it; implies "rectangle"."""
    file: Annotated[Path | None, tyro.conf.arg(aliases=["--object-file"])] = None
    """.npy (a weight in [0, 1] per Gaussian) or .npz of `ft2s select`; implies "file"."""
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Center of the box or sphere, in scene coordinates (those that ns-viewer shows)."""
    size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Edge lengths of the box along its own axes."""
    yaw_degrees: float = 0.0
    """Rotation of the box about the vertical (z) axis."""
    radius: float = 0.5
    """Radius of the sphere."""

    @property
    def kind(self) -> Kind:
        """What is asked for, said or implied."""
        if self.by != "auto":
            return self.by
        implied: list[tuple[Kind, bool]] = [
            ("file", self.file is not None),
            ("text", bool(self.text)),
            ("clicks", bool(self.click)),
            ("rectangle", self.rectangle is not None),
        ]
        for kind, given in implied:
            if given:
                return kind
        return "auto"

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
        match self.kind:
            case "file":
                return _loaded(self.file, scene)
            case "everything":
                return Selection.everything(len(scene)).for_scene(scene)
            case "text":
                return self._by_text(scene, cameras)
            case "clicks" | "color":
                return self._by_points(scene, cameras)
            case "rectangle":
                return self._by_rectangle(scene, cameras)
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
            return Selection(previous, "the object of the loaded run").for_scene(scene)
        from fasttext2style.selection.automatic import select_automatic

        return select_automatic(scene, cameras)

    def _by_text(self, scene: Gaussians, cameras: Cameras) -> Selection:
        from fasttext2style.selection.segmenters.load import load_segmenter
        from fasttext2style.selection.text import select_by_text

        if not self.text.strip():
            raise ValueError('Selecting by a text takes one: --object-text "the bear" (--text in ft2s select).')
        return select_by_text(scene, cameras, load_segmenter(self.segmenter, scene.device), self.text)

    def _by_points(self, scene: Gaussians, cameras: Cameras) -> Selection:
        from fasttext2style.selection.clicks import TOLERANCE, ClickSelector
        from fasttext2style.selection.colors import select_color

        if not self.click:
            raise ValueError(
                f"Selecting by {self.kind} takes a point on the object: --object-click VIEW X Y (--click in ft2s "
                f"select); VIEW is 0 to {len(cameras) - 1}, X, Y lie in {cameras.width} x {cameras.height} pixels."
            )
        on = [_picked(scene, cameras, click) for click in self.click]
        if self.kind == "color":
            return select_color(scene, on[0].color, self.tolerance or 0.1)
        beside = [_picked(scene, cameras, click).position for click in self.not_click]
        negative = torch.stack(beside) if beside else None
        positive = torch.stack([picked.position for picked in on])
        return ClickSelector(scene, cameras).select(positive, negative, self.tolerance or TOLERANCE)

    def _by_rectangle(self, scene: Gaussians, cameras: Cameras) -> Selection:
        from fasttext2style.selection.rectangle import select_rectangle

        if self.rectangle is None:
            raise ValueError(
                "Selecting by a rectangle takes one: --object-rectangle VIEW X0 Y0 X1 Y1 (--rectangle in ft2s select)."
            )
        view, *corners = self.rectangle
        x0, y0, x1, y1 = corners
        return select_rectangle(scene, _view(cameras, view), (x0, y0, x1, y1))


def _view(cameras: Cameras, number: int) -> Cameras:
    if not 0 <= number < len(cameras):
        raise ValueError(f"There is no view {number}: the capture has training views 0 to {len(cameras) - 1}.")
    return cameras[number]


def _picked(scene: Gaussians, cameras: Cameras, click: Click) -> Picked:
    view, x, y = click
    try:
        return pick(scene, _view(cameras, view), x, y)
    except ValueError as error:
        raise ValueError(f"Click {view} {x:g} {y:g}: {error}") from error


def _loaded(path: Path | None, scene: Gaussians) -> Selection:
    if path is None:
        raise ValueError("--object file needs --object-file: a .npy with one weight in [0, 1] per Gaussian.")
    if not path.is_file():
        raise ValueError(f"--object-file {path} does not exist; expected a .npy or .npz of {len(scene):,} weights.")
    selection = Selection.load(path)
    selection.check_matches(scene)
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
