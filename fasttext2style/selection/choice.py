"""What is asked for when an object is selected: options of a command line, light enough for its help.

`choose.py` does what they say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fasttext2style.trust.text import check_text
from fasttext2style.trust.typed import OrPath

SEGMENTER = OrPath(("encoder", "tiny", "clipseg", "grounded-sam", "sam3"), "segmenter")
"""What the name of a segmenter is, besides those of `load_segmenter`: a folder."""

Kind = Literal[
    "auto", "1", "2", "3", "text", "clicks", "masks", "rectangle", "box", "sphere", "color", "file", "everything"
]
Click = tuple[int, float, float]
"""Number of a training view, from 0 in the order of the photographs' names, and x, y in its pixels."""


_USED_BY: dict[Kind, tuple[str, ...]] = {
    "file": ("file",),
    "text": ("text",),
    "clicks": ("click", "not_click"),
    "color": ("click",),
    "rectangle": ("rectangle",),
}
"""Which of the options below a way of choosing looks at."""


@dataclass
class ObjectChoice:
    """How the object is chosen."""

    by: Annotated[Kind, tyro.conf.arg(aliases=["--object"])] = "auto"
    """"auto": what the options below imply, else the object of the run that is loaded, else masks if
    --pipeline.datamanager.object-masks names some, else what most views look at. "1", "2", "3": what stands out in the
    scene, by the numbers in object.png of an earlier run. "masks": the capture's mask files (or
    object-masks). "box", "sphere": a shape in scene coordinates. "color": that of the first click. "everything": the
    whole scene. The others by the options of their names."""
    text: Annotated[str, tyro.conf.arg(aliases=["--object-text"])] = ""
    """What to select, such as "the bear"; implies "text"."""
    segmenter: Annotated[str, SEGMENTER, tyro.conf.arg(aliases=["--object-segmenter"])] = "clipseg"
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

    def check(self) -> None:
        """Raises ValueError for options that contradict each other, are missing or out of range; reads nothing."""
        check_text(self.text, "The object's text")
        kind = self.kind
        for name in ("file", "text", "click", "not_click", "rectangle"):
            if getattr(self, name) and name not in _USED_BY.get(kind, ()):
                raise ValueError(
                    f"The object is chosen by {kind}, so --object-{name.replace('_', '-')} would say nothing: leave "
                    "that out, or choose another way with --object (--by in ft2s select)."
                )
        if kind == "file" and self.file is None:
            raise ValueError("--object file needs --object-file: a .npy with one weight in [0, 1] per Gaussian.")
        if kind == "text" and not self.text.strip():
            raise ValueError('Selecting by a text takes one: --object-text "the bear" (--text in ft2s select).')
        if kind in ("clicks", "color") and not self.click:
            raise ValueError(
                f"Selecting by {kind} takes a point on the object: --object-click VIEW X Y (--click in ft2s select)."
            )
        if kind == "rectangle" and self.rectangle is None:
            raise ValueError(
                "Selecting by a rectangle takes one: --object-rectangle VIEW X0 Y0 X1 Y1 (--rectangle in ft2s select)."
            )
        if kind == "box" and not all(0 < side < math.inf for side in self.size):
            raise ValueError(f"The sides of a box are positive, got {self.size}.")
        if kind == "sphere" and not 0 < self.radius < math.inf:
            raise ValueError(f"The radius of a sphere is positive, got {self.radius}.")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"A tolerance is 0 (the default) or more, got {self.tolerance}.")
        numbers = (*self.center, self.yaw_degrees, *(self.rectangle or ()))
        if not all(map(math.isfinite, numbers)):
            option = "yaw_degrees" if not math.isfinite(self.yaw_degrees) else "rectangle"
            option = option if all(map(math.isfinite, self.center)) else "center"
            raise ValueError(f"--{option.replace('_', '-')} takes numbers, got {getattr(self, option)}.")

    def check_views(self, count: int, width: int, height: int) -> None:
        """Raises ValueError for points that lie in none of `count` training views of `width` x `height` pixels."""
        for view, x, y in (*self.click, *self.not_click):
            check_view(view, count)
            if not (0 <= x <= width and 0 <= y <= height):
                raise ValueError(
                    f"Click {view} {x:g} {y:g}: it lies outside the view, which is trained on at {width} x {height} "
                    "pixels (--pipeline.datamanager.max-image-size changes that)."
                )
        if self.rectangle is not None:
            view, x0, y0, x1, y1 = self.rectangle
            check_view(view, count)
            reaches_in = max(x0, x1) > 0 and min(x0, x1) < width and max(y0, y1) > 0 and min(y0, y1) < height
            if not reaches_in or any(map(math.isnan, (x0, y0, x1, y1))):
                raise ValueError(
                    f"The rectangle {x0:g} {y0:g} {x1:g} {y1:g} lies outside view {view}, which is trained on at "
                    f"{width} x {height} pixels."
                )


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
    """Select everything else instead."""
    feather: float = 0.0
    """Let weights fall off towards the border over this distance, in scene units, last of all; nothing comes in."""

    def check(self) -> None:
        """Raises ValueError for options that do not fit together or are out of range; reads nothing."""
        self.object.check()
        if (self.combine is None) != (self.existing is None):
            raise ValueError(
                "--combine union, minus or intersect and --existing FILE need each other: give both or none"
            )
        if self.threshold is not None and not 0 <= self.threshold < 1:
            raise ValueError(f"--threshold lies in [0, 1), as weights do, got {self.threshold}.")
        for name in ("grow", "shrink", "feather"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"--{name} is a distance in scene units, 0 or more, got {getattr(self, name)}.")


def check_view(number: int, count: int) -> None:
    """Raises ValueError for a number that is none of `count` training views."""
    if not 0 <= number < count:
        raise ValueError(f"There is no view {number}: the capture has training views 0 to {count - 1}.")
