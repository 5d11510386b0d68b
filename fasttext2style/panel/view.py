"""What the panel needs of whoever renders the scene for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol, runtime_checkable

import torch
import viser
from torch import Tensor

from fasttext2style.scene.cameras import Cameras

Look = Literal["after", "before", "original", "after | before", "after | original"]
Pose = dict[str, list[float]]
"""Of a camera: position, look_at and up, in the scene's coordinates."""


@runtime_checkable
class View(Protocol):
    """Shows a scene in every tab of a page of viser."""

    server: viser.ViserServer
    scale: float
    """Units of viser per unit of the scene."""
    on_look: Callable[[Look, float | None], None]
    """Called with what is shown now, and where it is split, as a share of its width; None: nowhere."""
    on_failure: Callable[[str], None]
    """Called with an error where what one wants to look at cannot be shown; the scene is shown in its place."""

    @property
    def device(self) -> torch.device:
        """Where the scene is."""
        ...

    def in_order(self) -> AbstractContextManager[None]:
        """What is written to the panel inside of this arrives in the order in which it is written.

        Outside, viser 0.2.7 lets a message overtake an earlier one if another thread is sending at that moment, and an
        old text stays on the page. Nothing in here may raise, nor do this again: viser would never let go of its lock.
        """
        ...

    def refresh(self, now: bool = False) -> None:
        """Render anew for every tab; during an edit a few times a second are enough, unless `now`."""
        ...

    def look(self, what: Look) -> None:
        """Show the scene, as it was before the last edit or before all of them, or two beside each other (after on the
        left)."""
        ...

    def split_at(self, share: float) -> None:
        """Move the divider between after and before to this share of the width."""
        ...

    def frame(self, client: viser.ClientHandle, middle: Tensor, radius: float) -> None:
        """Let a tab look at a ball as a whole, from the side on which it is."""
        ...

    def pose_of(self, client: viser.ClientHandle) -> Pose:
        """Where a tab looks from."""
        ...

    def go_to(self, client: viser.ClientHandle, pose: Pose | None) -> None:
        """Let a tab look from there; None: from where tabs begin."""
        ...

    def mark(self, outline: bool, tint: bool) -> None:
        """Outline the object, and tint it."""
        ...

    def mark_points(self, points: Sequence[tuple[tuple[float, ...], bool]]) -> None:
        """Small balls where was clicked: green where something was added, red where it was taken away."""
        ...

    def show_pictures(self, pictures: Mapping[int, Tensor]) -> None:
        """Put [height, width, 3] pictures of 8 bits into the frustums of these views."""
        ...

    def camera_of(self, client: viser.ClientHandle, height: int) -> Cameras:
        """The camera of a tab, for pictures of this height."""
        ...
