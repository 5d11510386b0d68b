"""A subject that is no Gaussians and has nothing outside, as a radiance field would be: a colour per pixel and view."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from fasttext2style.rounds.views import SceneViews, to_bytes
from fasttext2style.scene.rasterize import render
from tests.ball import ball_on_floor, capture_cameras


class Pictures:
    """Ten pictures that train pixel by pixel; every view is edited as a whole."""

    def __init__(self) -> None:
        self.cameras = capture_cameras(32)
        self.original = render(ball_on_floor(), self.cameras)[0].clamp(0, 1)
        self.parameters = {"colors": nn.Parameter(self.original.clone())}
        self.seeds: list[int] = []

    def views(self) -> SceneViews:
        photographs = to_bytes(self.original)
        return SceneViews(self.cameras, photographs, photographs, self.coverage(list(range(10))))

    def render(self, views, with_depth=False):
        return self.parameters["colors"].detach()[views].clamp(0, 1)

    def render_boxes(self, views, boxes):
        return torch.stack(
            [self.parameters["colors"][v, y0:y1, x0:x1] for v, (x0, y0, x1, y1) in zip(views, boxes.tolist())]
        ), {}

    def coverage(self, views):
        return None

    def losses(self):
        return {}

    def draw_from(self, seed):
        self.seeds.append(seed)

    def re_anchor(self):
        pass

    def fingerprint(self):
        return str(float(self.original.sum()))

    def original_state(self):
        return {"colors": self.original}

    def state(self):
        return {"colors": self.parameters["colors"].detach()}

    def load_state(self, tensors):
        self.parameters["colors"] = nn.Parameter(tensors["colors"].clone())

    def metrics(self):
        return {}

    def kept_metrics(self, original: Path):
        return {}

    def write_files(self, folder: Path):
        (folder / "note.txt").write_text("whatever a field wants to keep")
