"""A run's scene in nerfstudio's viewer, only to be looked at: its object marked, its training views with their numbers.

A click says where it lies in the training views, in the words that `ft2s select` and `ns-train` take.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
import viser
from jaxtyping import Float
from nerfstudio.pipelines.base_pipeline import VanillaPipeline
from nerfstudio.viewer.viewer import Viewer
from torch import Tensor

from fasttext2style.panel.mouse import ray_of
from fasttext2style.panel.page import Message, Page
from fasttext2style.plugin.host.allocator import share_arenas
from fasttext2style.plugin.host.chatter import address, host_is_quiet, rich_is_quiet
from fasttext2style.plugin.host.datamanager import SceneDatamanager
from fasttext2style.plugin.host.defaults import viewer as viewer_config
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.host.visitors import own_pages_only
from fasttext2style.plugin.viewer.viewer import LiveViewer
from fasttext2style.scene.cameras import Cameras, evenly_spread
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.picking import pick_ray, seen_at
from fasttext2style.terminal.console import say

MOST_VIEWS = 48
"""Drawn with their numbers; more hide the scene."""
_BELOW = 1e6
"""Order of what is not seen, under all of nerfstudio's elements."""


def show_until_interrupted(pipeline: VanillaPipeline, folder: Path, scene: Gaussians, weights: Tensor) -> None:
    """Show it until Ctrl-C.

    Args:
        pipeline: of a run, for its views and the model that renders; nothing of it is saved.
        folder: of that run.
        scene: what is shown.
        weights: [gaussians] of the object.
    """
    share_arenas()
    with shown(pipeline, folder, scene, weights) as viewer:
        say(f"\nOpen {address(viewer.viewer)} in a browser: the object is marked, views have their numbers; click on")
        say("anything and its --click VIEW X Y is printed here. Ctrl-C ends.\n")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say("Closed.")


@contextmanager
def shown(pipeline: VanillaPipeline, folder: Path, scene: Gaussians, weights: Tensor) -> Iterator[LiveViewer]:
    """The viewer of `show_until_interrupted`, open meanwhile."""
    model, data = cast(SceneModel, pipeline.model), cast(SceneDatamanager, pipeline.datamanager)
    model.set_gaussians(scene)
    model.selection = weights.to(model.device)
    cameras = data.cameras("train")
    # Not the run's own settings: who wrote them could have opened this machine to the network.
    config = viewer_config()
    config.max_num_display_images = MOST_VIEWS
    with own_pages_only(config), host_is_quiet(), rich_is_quiet():
        viewer = Viewer(config, folder / "viewer", folder, pipeline, train_lock=threading.Lock())
        viewer.init_scene(data.train_dataset, "completed", data.eval_dataset)
    live = LiveViewer(viewer, model, cameras)
    live.mark(outline=True, tint=True)
    viewer.set_camera_visibility(True)
    viewer.toggle_cameravis_button()
    for number in evenly_spread(len(cameras), MOST_VIEWS):
        place = (live.scale * cameras.centers[number].double().cpu().numpy()).tolist()
        live.server.scene.add_label(f"/cameras/number_{number:05d}", str(number), position=tuple(place))

    def heard(client: viser.ClientHandle, message: Message) -> None:
        if message["kind"] == "click":
            (x, y), *_ = message["points"]
            origin, direction = ray_of(client.camera, float(x), float(y), live.scale)
            say(where_clicked(scene, cameras, torch.tensor(origin), torch.tensor(direction)))

    Page(live.server, order=_BELOW).on_message(heard)
    try:
        yield live
    finally:
        live.close()
        live.server.stop()


def where_clicked(scene: Gaussians, cameras: Cameras, origin: Float[Tensor, "3"], direction: Float[Tensor, "3"]) -> str:
    """What a ray meets, as an option of a command line."""
    try:
        found = seen_at(scene, cameras, pick_ray(scene, origin.to(scene.device), direction).position)
    except ValueError as error:
        return str(error)
    return "No training view shows this point." if found is None else "--click {} {:.0f} {:.0f}".format(*found)
