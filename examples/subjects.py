"""What the sheets of the examples style: the toy bear, or the object of a run on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

import fasttext2style as ft
from fasttext2style.evaluation.orbit import orbit
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.selection.automatic import select_automatic

FOCUS = (0.05, 0.0, 0.62)
"""Of the toy bear."""
VIEWS = 24
"""Of a way around the object of a run: one each 15 degrees."""


@dataclass(frozen=True)
class Subject:
    """A scene and the object in it that is styled."""

    scene: ft.Gaussians
    weights: Float[Tensor, " gaussians"]
    cameras: ft.Cameras
    """In which it is styled."""
    front: float = 0.0
    """Degrees around the object at which its face is."""
    run: bool = False
    """Of a capture: cameras stand where the capture's did."""

    @staticmethod
    def of(run: Path | None, front: float = 0.0) -> Subject:
        """The object that is found automatically in the reconstruction of a capture (a run of fasttext2style-scene), or
        the toy bear.

        Raises:
            ValueError: no run, or no object in it.
        """
        if run is None:
            toy = ft.toy_scene(width=192, height=192)
            return Subject(toy.gaussians, toy.object_weights, toy.train_cameras)
        opened = open_run(run)
        scene, cameras = opened.gaussians(), opened.cameras("train")
        return Subject(scene, select_automatic(scene, cameras).weights, cameras, front, run=True)

    def edit(self) -> ft.EditableObject:
        """Its parameters, as they were."""
        return ft.EditableObject(self.scene, ft.Selection(self.weights, "the statue"))

    def around(self, degrees: tuple[float, ...], size: int, distance: float = 2.1) -> ft.Cameras:
        """Cameras that look at it from these directions; 0 is its face.

        Around the object of a run they stand as far as the capture's did, in steps of 15 degrees.
        """
        if not self.run:
            turns = [
                ft.Cameras.orbit(FOCUS, distance, 1, size, size, 45.0, elevation_degrees=20.0, start_degrees=turn)
                for turn in degrees
            ]
            return ft.Cameras.concatenated(turns)
        inside = self.weights > 0.5
        way = orbit(self.scene.subset(inside), self.cameras, VIEWS, size, size, self.scene.subset(~inside))
        return way[[round((self.front + d) / (360 / VIEWS)) % VIEWS for d in degrees]]
