"""nerfstudio's viewer as a session needs it: what it shows, where it looks from, and what the mouse points at.

viser's coordinates are the scene's times ten (nerfstudio's choice).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal

import torch
import viser
from nerfstudio.viewer.render_state_machine import RenderAction
from nerfstudio.viewer.utils import get_camera
from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO as SCALE
from nerfstudio.viewer.viewer import Viewer
from torch import Tensor

from fasttext2style.evaluation.object_pictures import marked
from fasttext2style.plugin.host.convert import to_scene_cameras
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.host.outputs import LazyOutputs
from fasttext2style.scene.cameras import Cameras, looked_at

Look = Literal["after", "before", "after | before"]
Ray = tuple[tuple[float, float, float], tuple[float, float, float]]
_CPU_RESOLUTION = 384
_RECTANGLE_HEIGHT = 512
_FRUSTUM_PIXELS = 128
_BALL = 0.006
"""Radius of the ball that marks a click, relative to the cameras' distance."""
_LONGEST_PICTURE = 20.0
"""Seconds to wait for a picture that is being rendered when the session ends."""
_LEAST_SECONDS_BETWEEN_PICTURES = {"cpu": 0.25, "cuda": 0.05}


class LiveViewer:
    """Settings and events of nerfstudio's viewer, for a scene that is edited."""

    def __init__(self, viewer: Viewer, model: SceneModel, cameras: Cameras) -> None:
        self.viewer, self.model, self.server = viewer, model, viewer.viser_server
        self._last_picture = 0.0
        self._balls: list[viser.SceneNodeHandle] = []
        for element in (viewer.pause_train, viewer.resume_train, viewer.stats_markdown):
            element.visible = False  # there is no training to pause, and no step to count
        for element in (viewer.control_panel._train_speed, viewer.control_panel._train_util):
            element.set_hidden(True)
        viewer.set_camera_visibility(False)
        viewer.toggle_cameravis_button()
        if model.device.type == "cpu":
            viewer.control_panel._max_res.value = _CPU_RESOLUTION
        self._tint: float | None = None
        model.on_outputs = self._finish
        # A tab that opens sees what the first photograph shows, not the back of the scene.
        self._start = (cameras.centers[0].cpu(), looked_at(cameras).cpu(), up_of(cameras).cpu())
        self._ball_radius = _BALL * float((self._start[1] - self._start[0]).norm())
        self.server.on_client_connect(self._welcome)
        for client in self.server.get_clients().values():
            self._welcome(client)

    def close(self) -> None:
        """End the threads that render: a program that ends while they are inside torch is aborted."""
        renderers = list(self.viewer.render_statemachines.values())
        for renderer in renderers:
            renderer.running = False
        for renderer in renderers:
            renderer.join(_LONGEST_PICTURE)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def in_order(self) -> AbstractContextManager[None]:
        """What is written to the panel inside of this arrives in the order in which it is written.

        Outside, viser 0.2.7 lets a message overtake an earlier one if another thread is sending at that moment, and an
        old text stays on the page. Nothing in here may raise, nor do this again: viser would never let go of its lock.
        """
        return self.server.atomic()

    def refresh(self, now: bool = False) -> None:
        """Render anew for every tab; during an edit a few times a second are enough, unless `now`."""
        moment = time.monotonic()
        if not now and moment - self._last_picture < _LEAST_SECONDS_BETWEEN_PICTURES[self.model.device.type]:
            return
        self._last_picture = moment
        for number, client in self.server.get_clients().items():
            renderer = self.viewer.render_statemachines.get(number)
            if renderer is not None:  # the tab may be closing
                renderer.action(RenderAction("step", self.viewer.get_camera_state(client)))

    def look(self, what: Look) -> None:
        """Show the scene, as it was before the last edit, or both beside each other (after on the left)."""
        panel = self.viewer.control_panel
        panel._output_render.value = "before" if what == "before" else "rgb"
        # "before" is the last output: nerfstudio sets the right side to that one whenever a tab opens.
        panel._split_output_render.value = "before"
        panel._split.value = what == "after | before"
        self.refresh(now=True)

    def mark(self, tint: float | None) -> None:
        """Outline the object, and tint it; None shows the scene as it is."""
        self._tint = tint
        self.refresh(now=True)

    def _finish(self, outputs: LazyOutputs) -> None:
        """Render what is shown while the scene is locked, and mark the object."""
        panel = self.viewer.control_panel
        for name in {panel.output_render} | ({panel.split_output_render} if panel.split else set()):
            outputs.get(name)
        if self._tint is not None:
            outputs["rgb"] = marked(outputs["rgb"], outputs["selection"][..., :1], self._tint)

    def show_pictures(self, pictures: dict[int, Tensor]) -> None:
        """Put [height, width, 3] pictures of 8 bits into the frustums of these views.

        nerfstudio's buttons show and hide frustums: shown at once, they would stand before what has changed.
        """
        viewer, train = self.viewer, self.viewer.pipeline.datamanager.train_dataset
        assert train is not None, "nerfstudio drew its frustums"
        with self.in_order():
            for view in pictures.keys() & viewer.camera_handles.keys():
                old, camera = viewer.camera_handles[view], train.cameras[view]
                step = -(-max(pictures[view].shape[:2]) // _FRUSTUM_PIXELS)
                viewer.camera_handles[view] = new = self.server.scene.add_camera_frustum(
                    f"/cameras/camera_{view:05d}",
                    fov=float(2 * torch.arctan(camera.cx / camera.fx)),
                    aspect=float(camera.cx / camera.cy),
                    scale=viewer.config.camera_frustum_scale,
                    image=pictures[view][::step, ::step].numpy(),
                    wxyz=old.wxyz,
                    position=old.position,
                    visible=old.visible,
                )
                new.on_click(partial(self._go_to_frustum, view))

    def _go_to_frustum(self, view: int, event: viser.SceneNodePointerEvent) -> None:
        with event.client.atomic():
            event.client.camera.position, event.client.camera.wxyz = event.target.position, event.target.wxyz
        self.viewer.current_camera_idx = view

    # --- what is pointed at -------------------------------------------------------------------------------------------

    def on_click(self, callback: Callable[[Ray], None]) -> None:
        """Call with the ray of each click into the scene, in the scene's coordinates."""

        @self.server.scene.on_pointer_event("click")
        def _(event: viser.ScenePointerEvent) -> None:
            assert event.ray_origin is not None and event.ray_direction is not None
            x, y, z = (value / SCALE for value in event.ray_origin)
            callback(((x, y, z), event.ray_direction))

    def on_rectangle(self, callback: Callable[[Cameras, tuple[float, float, float, float]], None]) -> None:
        """Call with the camera of the tab and x0, y0, x1, y1 in its pixels, of each rectangle that is drawn."""

        @self.server.scene.on_pointer_event("rect-select")
        def _(event: viser.ScenePointerEvent) -> None:
            state = self.viewer.get_camera_state(event.client)
            height, width = _RECTANGLE_HEIGHT, max(1, round(_RECTANGLE_HEIGHT * state.aspect))
            camera = to_scene_cameras(get_camera(state, height, width)).to(self.model.device)
            xs, ys = (sorted(corner[axis] for corner in event.screen_pos) for axis in (0, 1))
            callback(camera, (xs[0] * width, ys[0] * height, xs[1] * width, ys[1] * height))

    def no_pointer(self) -> None:
        """The mouse only moves the view."""
        if self.server.scene._scene_pointer_cb is not None:
            self.server.scene.remove_pointer_callback()

    def mark_points(self, points: list[tuple[tuple[float, ...], bool]]) -> None:
        """Small balls where was clicked: green on the object, red where it is not."""
        with self.in_order():
            for ball in self._balls:
                ball.remove()
            self._balls = [
                self.server.scene.add_icosphere(
                    f"/clicks/{number}",
                    radius=self._ball_radius * SCALE,
                    color=(60, 200, 90) if inside else (230, 60, 60),
                    position=(SCALE * position[0], SCALE * position[1], SCALE * position[2]),
                )
                for number, (position, inside) in enumerate(points)
            ]

    def _welcome(self, client: viser.ClientHandle) -> None:
        center, target, up = (vector.double().cpu().numpy() for vector in self._start)
        with client.atomic():
            client.camera.up_direction = up
            client.camera.position = SCALE * center
            client.camera.look_at = SCALE * target


def up_of(cameras: Cameras) -> Tensor:
    """[3] mean direction in which the images' upper edges lie."""
    return torch.nn.functional.normalize(-cameras.viewmats[:, 1, :3].mean(dim=0), dim=0)
