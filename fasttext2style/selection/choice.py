"""What is asked for when an object is selected: options of a command line, light enough for its help.

`choose.py` does what they say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

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
    embedded, rough, and knows colours and materials (`ft2s words`); or one of your own as module:attribute."""
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


@dataclass(kw_only=True)
class SelectionSettings:
    """An object, and what is done to its selection afterwards."""

    object: ObjectChoice = field(default_factory=ObjectChoice)
    """What to select."""
    threshold: float | None = None
    """Weights above this become 1, others 0."""
    combine: Literal["union", "minus", "intersect"] | None = None
    """What to do with the selection of --existing: add to it, take from it, or keep what is in both."""
    existing: Path | None = None
    """Another selection of this scene, .npz or .npy."""
    keep_largest: bool = False
    """Drop all but the largest connected part."""
    grow: float = 0.0
    """Add what lies within this distance of the selection, in scene units."""
    shrink: float = 0.0
    """Drop what lies within this distance of its border, in scene units."""
    invert: bool = False
    """Select everything else instead, last of all."""
