"""The mouse in the scene: dragging turns the view, a click points at something, and some tools draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np
import viser
from viser.transforms import SO3

from fasttext2style.live.pointing import Combine, Triple
from fasttext2style.panel.page import Message
from fasttext2style.panel.view import View
from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection.drawn import Drawing, Point

LOOK_AROUND = "look around"
CLICKS = ("click", "color")
"""Tools that wait for a click; all others of `TOOLS` but looking around draw."""
TOOLS = (*CLICKS, *get_args(Drawing), LOOK_AROUND)
_DRAWN_HEIGHT = 512
"""Pixels in which a drawing is looked at."""


class Clicked(NamedTuple):
    """A click into the scene, in its coordinates."""

    origin: Triple
    direction: Triple
    opening: float
    """Height of what is seen, relative to its distance."""
    combine: Combine | None
    """By the key that is held, if any."""


class Drawn(NamedTuple):
    """Something that was drawn over the view of a tab."""

    drawing: Drawing
    camera: Cameras
    points: list[Point]
    combine: Combine | None


class Mouse:
    """Clicks and drawings of all tabs.

    Args:
        view: where one clicks.
        on_click: called with each click of a tool that clicks.
        on_drawing: called with each drawing; the page knows the tool.
    """

    def __init__(
        self,
        view: View,
        on_click: Callable[[Clicked], None],
        on_drawing: Callable[[Drawn], None],
    ) -> None:
        self.view = view
        self._on_click, self._on_drawing = on_click, on_drawing

    def hear(self, client: viser.ClientHandle, message: Message) -> None:
        """What the page says about the mouse.

        Raises:
            ValueError: something that our page does not say.
        """
        combine = _one_of(message.get("combine") or None, (None, *get_args(Combine)))
        points = [(float(x), float(y)) for x, y in message["points"]]
        if message["kind"] == "click":
            self._clicked(client, points[0], combine)
            return
        camera = self.view.camera_of(client, _DRAWN_HEIGHT)
        drawing = _one_of(message["drawing"], get_args(Drawing))
        self._on_drawing(Drawn(drawing, camera, points, combine))

    def _clicked(self, client: viser.ClientHandle, at: Point, combine: Combine | None) -> None:
        origin, direction = ray_of(client.camera, *at, self.view.scale)
        opening = 2 * float(np.tan(client.camera.fov / 2))
        self._on_click(Clicked(origin, direction, opening, combine))


def _one_of(value, choices):
    if value not in choices:
        raise ValueError(f"The page asked for {value!r}, which is none of {choices}; reload it")
    return value


def ray_of(camera: viser.CameraHandle, x: float, y: float, scale: float) -> tuple[Triple, Triple]:
    """Origin and direction, in the scene's coordinates, at shares x, y of the width and height of what a tab shows.

    `scale` is units of viser per unit of the scene.
    """
    half = np.tan(camera.fov / 2)
    seen = np.array([(2 * x - 1) * half * camera.aspect, (2 * y - 1) * half, 1.0])
    direction = SO3(camera.wxyz) @ (seen / np.linalg.norm(seen))
    (ox, oy, oz), (dx, dy, dz) = (camera.position / scale).tolist(), direction.tolist()
    return (ox, oy, oz), (dx, dy, dz)
