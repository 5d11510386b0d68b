"""The mouse in the scene: dragging turns the view, a click points at something, and some tools draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np
import viser
from viser.transforms import SO3

from fasttext2style.live.pointing import Combine, Triple
from fasttext2style.panel.page import Message, Page
from fasttext2style.panel.view import View
from fasttext2style.scene.cameras import Cameras
from fasttext2style.selection.drawn import Drawing, Point

LOOK_AROUND = "look around"
CLICKS = ("click", "color")
"""Tools that wait for a click; all others of `TOOLS` but looking around draw."""
TOOLS = (*CLICKS, *get_args(Drawing), LOOK_AROUND)
_DRAWN_HEIGHT = 512
"""Pixels in which a drawing is looked at."""
_FAR = 1e5
"""Half the side of the sky, in viser's units: beyond what its page draws (1,000), but not out of reach of clicks."""


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
        page: the script that draws.
        on_click: called with each click of a tool that clicks.
        on_drawing: called with each drawing; the page knows the tool.
    """

    def __init__(
        self,
        view: View,
        page: Page,
        on_click: Callable[[Clicked], None],
        on_drawing: Callable[[Drawn], None],
    ) -> None:
        self.view, self.page = view, page
        self._on_click, self._on_drawing = on_click, on_drawing
        self._held: dict[int, Combine] = {}
        self._sky = view.server.scene.add_mesh_simple("/sky", *sky(), opacity=0.0)
        self._sky.on_click(lambda event: self._clicked(event.client, event.screen_pos))

    def use(self, tool: str, size: float) -> None:
        """Point with this tool from now on; a brush has this diameter, as a share of the height."""
        self._sky.visible = tool in CLICKS
        self.page.show(tool=tool, size=size)

    def hear(self, client: viser.ClientHandle, message: Message) -> None:
        """What the page says about the mouse.

        Raises:
            ValueError: something that our page does not say.
        """
        combine = _one_of(message.get("combine") or None, (None, *get_args(Combine)))
        if message["kind"] == "held":
            self._held.pop(client.client_id, None)
            if combine is not None:
                self._held[client.client_id] = combine
            return
        points = [(float(x), float(y)) for x, y in message["points"]]
        if message["kind"] == "click":
            self._clicked(client, points[0], combine)
            return
        camera = self.view.camera_of(client, _DRAWN_HEIGHT)
        drawing = _one_of(message["drawing"], get_args(Drawing))
        self._on_drawing(Drawn(drawing, camera, points, combine))

    def _clicked(self, client: viser.ClientHandle, at: Point, combine: Combine | None = None) -> None:
        origin, direction = ray_of(client.camera, *at, self.view.scale)
        opening = 2 * float(np.tan(client.camera.fov / 2))
        self._on_click(Clicked(origin, direction, opening, combine or self._held.get(client.client_id)))


def _one_of(value, choices):
    if value not in choices:
        raise ValueError(f"The page asked for {value!r}, which is none of {choices}; reload it")
    return value


def ray_of(camera: viser.CameraHandle, x: float, y: float, scale: float) -> tuple[Triple, Triple]:
    """Origin and direction, in the scene's coordinates, at shares x, y of the width and height of what a tab shows.

    `scale` is units of viser per unit of the scene. Not `ray_origin` and `ray_direction` of clicks on nodes: with viser
    0.2.7 they are those of one ray, always.
    """
    half = np.tan(camera.fov / 2)
    seen = np.array([(2 * x - 1) * half * camera.aspect, (2 * y - 1) * half, 1.0])
    direction = SO3(camera.wxyz) @ (seen / np.linalg.norm(seen))
    (ox, oy, oz), (dx, dy, dz) = (camera.position / scale).tolist(), direction.tolist()
    return (ox, oy, oz), (dx, dy, dz)


def sky() -> tuple[np.ndarray, np.ndarray]:
    """Corners [8, 3] and triangles [12, 3] of a cube around everything, that is seen from inside and hides nothing.

    Clicks into the scene are clicks on this cube. viser 0.2.7 has pointer events for the whole scene, too, but its page
    switches the camera off from pointer-down to pointer-up as soon as anybody listens to them, and takes every drag for
    a click. Clicks on a node leave the camera alone and are sent only if the pointer moved by at most 3 pixels.
    """
    corners = _FAR * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float32)
    # The triangles face inwards: from inside they are in front, and viser's outline of what the mouse is over, drawn on
    # back faces, is not seen.
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return corners, np.array([[a, *rest] for a, b, c, d in sides for rest in ((c, b), (d, c))], dtype=np.uint32)
