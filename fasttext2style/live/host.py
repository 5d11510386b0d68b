"""What a session needs of whoever shows its scene and keeps it on disk: a model of nerfstudio, or something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState


@runtime_checkable
class Host(Protocol):
    """Shows a scene. Everything but `device` and `save` is called while the session's lock is held."""

    @property
    def device(self) -> torch.device:
        """Where the scene's tensors are."""
        ...

    def open(self, history: History) -> SceneState:
        """The scene as its history says it is, shown from now on; nothing is selected where nobody ever chose.

        What is written into the state's tensors is seen, here and after `show`.

        Raises:
            ValueError: the scene is not one of this history.
        """
        ...

    def show(self, state: SceneState) -> None:
        """Show this scene from now on, without copying it."""
        ...

    def show_before(self, rows: Tensor, columns: Mapping[str, Tensor]) -> None:
        """What "before" shows in place of these rows of the scene, under splatfacto's names."""
        ...

    @property
    def background_color(self) -> Tensor:
        """[3] sRGB, seen where there is no Gaussian and nothing around the scene."""
        ...

    def show_around(self, panorama: Tensor) -> None:
        """Show this panorama [height, width, 3] around the scene, until `note` says what is there."""
        ...

    def note(self, history: History, state: SceneState) -> None:
        """Steps came or went: "before" shows the scene before the last edit, `save` writes which steps it contains."""
        ...

    def save(self) -> Path:
        """Write a checkpoint; returns where it is.

        Raises:
            ValueError: it could not be written; what was there is untouched.
        """
        ...
