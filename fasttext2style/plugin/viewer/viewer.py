"""nerfstudio's viewer as a session needs it: what it shows, where it looks from, and what the mouse points at.

viser's coordinates are the scene's times ten (nerfstudio's choice).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

import numpy as np
import torch
import viser
from nerfstudio.viewer.render_state_machine import RenderAction
from nerfstudio.viewer.utils import get_camera
from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO as SCALE
from nerfstudio.viewer.viewer import Viewer
from torch import Tensor

from fasttext2style.evaluation.object_pictures import marked
from fasttext2style.live.scene import LiveScene
from fasttext2style.panel.view import Look, Pose
from fasttext2style.plugin.host.convert import to_scene_cameras
from fasttext2style.plugin.host.datamanager import SceneDatamanager, as_bytes
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.host.outputs import TINT, LazyOutputs
from fasttext2style.plugin.viewer.icons import read_icons_at_once
from fasttext2style.scene.cameras import Cameras, looked_at

_CPU_RESOLUTION = 1024
"""Of the longer side; 100,000 Gaussians take 0.05 s of CPU."""
_FRUSTUM_PIXELS = 128
_BALL = 0.006
"""Radius of the ball that marks a click, relative to the cameras' distance."""
_LONGEST_PICTURE = 20.0
"""Seconds to wait for a picture that is being rendered when the session ends."""
_LEAST_SECONDS_BETWEEN_PICTURES = {"cpu": 0.5, "cuda": 0.05}


class LiveViewer:
    """`panel.view.View`, by nerfstudio's viewer; of a session, or where there is none just of what the model shows."""

    def __init__(self, viewer: Viewer, model: SceneModel, cameras: Cameras, session: LiveScene | None = None) -> None:
        read_icons_at_once()
        self.viewer, self.model, self.server = viewer, model, viewer.viser_server
        self.scale = SCALE
        self._last_picture = 0.0
        self._balls: list[viser.SceneNodeHandle] = []
        self.on_look: Callable[[Look, float | None], None] = lambda what, at: None
        self.on_failure: Callable[[str], None] = lambda message: None
        self._look: Look = "after"
        for element in (viewer.pause_train, viewer.resume_train, viewer.stats_markdown):
            element.visible = False  # there is no training to pause, and no step to count
        for element in (viewer.control_panel._train_speed, viewer.control_panel._train_util):
            element.set_hidden(True)
        # Its links lead away from the work, and its logo needs a network.
        self.server.gui.configure_theme(
            control_layout="collapsible", dark_mode=True, brand_color=(255, 211, 105), show_logo=False
        )
        viewer.set_camera_visibility(False)
        viewer.toggle_cameravis_button()
        # Tabs begin where the first photograph was taken: its picture would cover the scene.
        if 0 in viewer.camera_handles:
            viewer.camera_handles.pop(0).remove()
        self._edited: set[int] = set()
        if model.device.type == "cpu":
            viewer.control_panel._max_res.value = _CPU_RESOLUTION
        self._tint: float | None = None
        model.on_outputs = self._finish
        # Whenever a tab opens nerfstudio sets the right side to the last output: depth of another size, on which the
        # threads that render would end.
        update_options = viewer.control_panel.update_output_options

        def keep_right_side(new_options: list[str]) -> None:
            update_options(new_options)
            if self._compared in new_options:
                viewer.control_panel._split_output_render.value = self._compared

        viewer.control_panel.update_output_options = keep_right_side
        if session is not None:
            model.original = session.original
        self._desk = None if session is None else session.desk
        # The first tab sees what the first photograph shows, not the back of the scene.
        center, target = cameras.centers[0], looked_at(cameras)
        self._start: Pose = dict(position=center.tolist(), look_at=target.tolist(), up=cameras.up.tolist())
        self._ball_radius = _BALL * float((target - center).norm())
        self.server.on_client_connect(self._welcome)
        for client in self.server.get_clients().values():
            self._welcome(client)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def close(self) -> None:
        """End the threads that render: a program that ends while they are inside torch is aborted."""
        renderers = list(self.viewer.render_statemachines.values())
        for renderer in renderers:
            renderer.running = False
        for renderer in renderers:
            renderer.join(_LONGEST_PICTURE)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def in_order(self) -> AbstractContextManager[None]:
        return self.server.atomic()

    def refresh(self, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._last_picture < _LEAST_SECONDS_BETWEEN_PICTURES[self.model.device.type]:
            return
        self._last_picture = moment
        for number, client in self.server.get_clients().items():
            renderer = self.viewer.render_statemachines.get(number)
            if renderer is not None:  # the tab may be closing
                renderer.action(RenderAction("step", self.viewer.get_camera_state(client)))

    def look(self, what: Look) -> None:
        panel, self._look = self.viewer.control_panel, what
        panel._output_render.value = "rgb" if what.startswith("after") else what
        panel._split_output_render.value = self._compared
        panel._split.value = "|" in what
        self.on_look(what, panel.split_percentage if panel._split.value else None)
        self.refresh(now=True)

    @property
    def _compared(self) -> str:
        return "original" if self._look.endswith("original") else "before"

    def split_at(self, share: float) -> None:
        self.viewer.control_panel._split_percentage.value = min(max(share, 0.0), 1.0)
        self.on_look(self._look, share)
        self.refresh(now=True)

    def frame(self, client: viser.ClientHandle, middle: Tensor, radius: float) -> None:
        camera, target = client.camera, SCALE * middle.double().cpu().numpy()
        away = camera.position - target
        distance = SCALE * radius / np.sin(0.8 * min(camera.fov, camera.fov * camera.aspect) / 2)
        with client.atomic():
            camera.position = target + distance * away / max(float(np.linalg.norm(away)), 1e-9)
            camera.look_at = target

    def mark(self, outline: bool, tint: bool) -> None:
        wanted = (TINT if tint else 0.0) if outline else None
        if wanted != self._tint:
            self._tint = wanted
            self.refresh(now=True)

    def _finish(self, outputs: LazyOutputs) -> None:
        """Render what is shown while the scene is locked, and mark the object."""
        panel, tint = self.viewer.control_panel, self._tint  # which other threads may change meanwhile
        # nerfstudio sets the right side to the last output whenever a tab opens.
        compared = self._compared
        if compared in outputs:
            outputs.later(compared, outputs.pop(compared))
        # A thread that renders ends with what it raises; and somebody may choose another output before it has read one.
        outputs.instead = partial(self._failed, outputs)
        for name in {panel.output_render} | ({panel.split_output_render} if panel.split else set()):
            outputs.get(name)
        if tint is not None:
            outputs["rgb"] = marked(outputs["rgb"], outputs["selection"][..., :1], tint)

    def _failed(self, outputs: LazyOutputs, error: Exception) -> Tensor:
        self.on_failure(str(error))
        return outputs["rgb"]

    def show_pictures(self, pictures: Mapping[int, Tensor]) -> None:
        # nerfstudio's buttons show and hide frustums: shown at once, they would stand before what has changed.
        viewer, data = self.viewer, self.viewer.pipeline.datamanager
        train = data.train_dataset
        assert isinstance(data, SceneDatamanager) and train is not None, "nerfstudio drew its frustums"
        if pictures:
            self._edited |= pictures.keys()
        else:  # the edit was taken back: what they show is no longer there
            # Not from the disk: the capture may have been moved since.
            pictures = {view: as_bytes(data.cached_train[view]["image"])[..., :3] for view in self._edited}
            self._edited = set()
            viewer.set_camera_visibility(False)
            viewer.hide_images.visible, viewer.show_images.visible = False, True
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

    def camera_of(self, client: viser.ClientHandle, height: int) -> Cameras:
        state = self.viewer.get_camera_state(client)
        return to_scene_cameras(get_camera(state, height, max(1, round(height * state.aspect)))).to(self.device)

    def mark_points(self, points: Sequence[tuple[tuple[float, ...], bool]]) -> None:
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

    def pose_of(self, client: viser.ClientHandle) -> Pose:
        camera = client.camera
        return {
            "position": (camera.position / SCALE).tolist(),
            "look_at": (camera.look_at / SCALE).tolist(),
            "up": camera.up_direction.tolist(),
        }

    def go_to(self, client: viser.ClientHandle, pose: Pose | None) -> None:
        pose = pose or self._start
        with client.atomic():
            client.camera.up_direction = np.array(pose["up"])
            client.camera.position = SCALE * np.array(pose["position"])
            client.camera.look_at = SCALE * np.array(pose["look_at"])

    def _welcome(self, client: viser.ClientHandle) -> None:
        desk = self._desk
        if desk is None:
            self.go_to(client, None)
            return
        self.go_to(client, desk.camera)

        @client.camera.on_update
        def _(camera: viser.CameraHandle) -> None:
            desk.camera = self.pose_of(client)
