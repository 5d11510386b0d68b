"""Restyle, replace, remove: the same loop with other data (instruct-gs, "Object-Scoped Editing")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ModeName = Literal["restyle", "replace", "remove"]
Group = Literal["means", "scales", "quats", "features_dc", "features_rest", "opacities"]
EVERY_GROUP: tuple[Group, ...] = ("features_dc", "features_rest", "opacities", "scales", "quats", "means")


@dataclass(frozen=True)
class Mode:
    """What an edit may do to the object."""

    train: tuple[Group, ...]
    """Parameter groups that change."""
    grows: bool
    """Gaussians are cloned, split and pruned inside the object where the edited views pull hardest."""
    mask_margin: float
    """How far beyond the object the picture may change, as a share of the object's larger side in each view."""
    geometry_anchor: float
    """Weight of the penalties on Gaussians that leave their place, size or opacity."""
    geometry_rate: float
    """Learning rates of all groups but colours are multiplied by this."""
    removes: bool
    """The object is taken away before the first round, but for what can fill the hole that it leaves; pictures change
    in the hole only."""
    prune_opacity: float = 0.005
    """Gaussians of the object below this opacity go when it grows; the default is 3DGS's."""


MODES: dict[ModeName, Mode] = {
    # instruct-gs: colours and opacities move, places and sizes are held. Here opacities stay: trained, they make halos
    # at the border of real captures (measured for text styles).
    "restyle": Mode(
        train=("features_dc", "features_rest", "scales", "means"),
        grows=False,
        mask_margin=0.0,
        geometry_anchor=1.0,
        geometry_rate=0.1,
        removes=False,
    ),
    # instruct-gs: new form comes from densification inside the object, where gradients are large.
    "replace": Mode(
        train=EVERY_GROUP,
        grows=True,
        mask_margin=0.15,
        geometry_anchor=0.0,
        geometry_rate=1.0,
        removes=False,
    ),
    # instruct-gs: the object goes and the hole is filled; it prunes below opacity 0.001 when it removes.
    "remove": Mode(
        train=EVERY_GROUP,
        grows=True,
        mask_margin=0.05,
        geometry_anchor=0.0,
        geometry_rate=1.0,
        removes=True,
        prune_opacity=0.001,
    ),
}


@dataclass(frozen=True)
class Task:
    """What is to be done to a subject."""

    instruction: str
    """Such as "turn the bear into a panda"."""
    mode: ModeName = "restyle"
    seed: int = 0
    """Draws views, batches and noise."""


def check_mode(name: str) -> None:
    """Raises ValueError for a mode that is none of MODES."""
    if name not in MODES:
        raise ValueError(f"There is no mode {name!r}; modes are {', '.join(MODES)}.")
