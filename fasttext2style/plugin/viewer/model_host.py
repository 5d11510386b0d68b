"""A model of nerfstudio as a live session's host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.plugin.host.edit_record import scene_of_history, show_state, take_history
from fasttext2style.plugin.host.model import SceneModel


class ModelHost:
    """`live.host.Host` for a `SceneModel`.

    Args:
        model: the scene, already loaded.
        save: writes a checkpoint and returns where it is; raises ValueError.
    """

    def __init__(self, model: SceneModel, save: Callable[[], Path]) -> None:
        self.model, self.save = model, save

    @property
    def device(self) -> torch.device:
        return self.model.device

    def open(self, history: History) -> SceneState:
        model = self.model
        if not history.steps and model.history_ids is None and bool((model.selection == 1).all()):
            # Nobody ever said what the object is: it is nothing yet, rather than everything.
            model.selection = torch.zeros_like(model.selection)
        return scene_of_history(model, history)

    def show(self, state: SceneState) -> None:
        show_state(self.model, state)

    def show_before(self, rows: Tensor, columns: Mapping[str, Tensor]) -> None:
        self.model.earlier.set(rows, columns)

    @property
    def background_color(self) -> Tensor:
        return self.model.background_color

    def show_around(self, panorama: Tensor) -> None:
        self.model.environment = panorama.to(self.device)

    def note(self, history: History, state: SceneState) -> None:
        take_history(self.model, history, state)
