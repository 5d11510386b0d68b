"""The scene, its object, or the rest as a file that other programs read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.files.compact import write_splat, write_spz
from fasttext2style.scene.files.ply import write_ply
from fasttext2style.scene.gaussians import Gaussians

OBJECT_THRESHOLD = 0.5
"""Gaussians with a selection weight above this are the object, all others the rest, wherever a scene is taken apart."""
What = Literal["scene", "selection", "rest"]
WRITERS: dict[str, Callable[[Path, Gaussians], None]] = {"ply": write_ply, "spz": write_spz, "splat": write_splat}
"""Format, which is the file's suffix -> what writes it."""


def export(
    path: Path,
    gaussians: Gaussians,
    weights: Float[Tensor, " gaussians"],
    what: What = "scene",
    threshold: float = OBJECT_THRESHOLD,
) -> int:
    """Write the scene, the object (weights above the threshold) or all but the object; its suffix is the format.

    Returns how many Gaussians were written.

    Raises:
        ValueError: an unknown suffix, nothing to write, or the disk is full.
    """
    check_suffix(path)
    writer = WRITERS[path.suffix.removeprefix(".")]
    chosen = part_of(gaussians, weights, what, threshold)
    try:
        writer(path, chosen)
    except OSError as error:
        raise ValueError(f"{path} could not be written ({error}); what was there is untouched") from error
    return len(chosen)


def check_suffix(path: Path) -> None:
    """Raises ValueError for a file of a format that is not written here."""
    if path.suffix.removeprefix(".") not in WRITERS:
        raise ValueError(f"{path} should end in one of {', '.join(f'.{name}' for name in WRITERS)}")


def part_of(
    gaussians: Gaussians, weights: Float[Tensor, " gaussians"], what: What, threshold: float = OBJECT_THRESHOLD
) -> Gaussians:
    """The scene, the object or the rest; the last two together are the scene.

    Raises:
        ValueError: there is nothing in that part.
    """
    if what == "scene":
        return gaussians
    selected: Bool[Tensor, " gaussians"] = weights.to(gaussians.device) > threshold
    keep = selected if what == "selection" else ~selected
    if not bool(keep.any()):
        state = "nothing is selected" if what == "selection" else "everything is selected"
        raise ValueError(
            f"There is no {what} in this scene: {state} (weights above {threshold:g}). Select an object first, or "
            "export the whole scene."
        )
    return gaussians.subset(keep)
