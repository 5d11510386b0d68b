"""ft2s select: choose an object once, look at it, use it everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fasttext2style.commands.shared import RunPath, errors_in_words
from fasttext2style.selection.choice import ObjectChoice


@dataclass
class Select:
    """Select an object of a run, by text, clicks, masks, shapes, colour or by itself, and change selections.

    Writes a .npz for --object-file (of ns-train, and of this command again) and a picture of what is selected.
    """

    path: RunPath
    """Folder of a run of fasttext2style, fasttext2style-ip2p or fasttext2style-scene."""
    object: ObjectChoice = field(default_factory=ObjectChoice)
    """What to select."""
    object_masks: Path | None = None
    """Folder of masks (white is the object), named like the photographs; implies masks."""
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
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The .npz; RUN/selections/object.npz by default. The picture lies beside it."""
    views: int = 4
    """Views in the picture; 0 makes none."""

    def run(self) -> None:
        from fasttext2style.plugin.runs.select import select

        with errors_in_words():
            select(self)
