"""An object that is being changed in a session: into the scene that others look at, and out of it again."""

from __future__ import annotations

import torch

from fasttext2style.history.delta import Delta
from fasttext2style.history.state import SceneState
from fasttext2style.live.scene import LiveScene
from fasttext2style.scene.gaussians import SPLATFACTO_NAMES
from fasttext2style.styling.editable import EditableObject


class LiveEdit:
    """One step of the history while it is made.

    Args:
        scene: shows the object.
        edit: the object; it may have been changed by steps before this one.
        before: the object as the scene has it now.
    """

    def __init__(self, scene: LiveScene, edit: EditableObject, before: SceneState) -> None:
        self.scene, self.edit, self.before, self.ids = scene, edit, before, before.ids
        self.rows = scene.state.rows_of(before.ids)
        self.grown = False
        with scene.lock:
            self._show_before()

    @torch.no_grad()
    def write(self) -> None:
        """Put the object as it is now into the scene."""
        with self.scene.lock:
            for name, parameter in self.edit.parameters.items():
                self.scene.state.columns[name].index_copy_(0, self.rows, parameter)
        self.scene.tell("scene")

    def replace_object(self) -> None:
        """Gaussians came or went: the object, with new identities, comes after all others."""
        scene, state = self.scene, self.scene.state
        keep = torch.ones(len(state), dtype=torch.bool, device=state.device)
        keep[self.rows] = False
        if not self.grown:
            self.first_id = int(scene.history.fresh_ids(state, 1))
        self.ids = torch.arange(self.first_id, self.first_id + len(self.edit), device=state.device)
        self.rows = torch.arange(int(keep.sum()), int(keep.sum()) + len(self.edit), device=state.device)
        columns = {name: torch.cat([column[keep], self._now().columns[name]]) for name, column in state.columns.items()}
        with scene.lock:
            scene.adopt(SceneState(columns, torch.cat([state.ids[keep], self.ids])))
            self._show_before()
        self.grown = True

    def delta(self) -> Delta:
        """What this step changed."""
        if self.grown:
            return Delta.of_growth(self.before, self._now())
        return Delta.of_rows(self.ids, self.before.columns, self._now().columns)

    def take_back(self) -> None:
        """The scene as it was before this step, bit by bit."""
        self.scene.move(self._without)

    @torch.no_grad()
    def _without(self, state: SceneState) -> SceneState:
        if self.grown:
            return state.exchanged(self.ids, self.before)
        for name in SPLATFACTO_NAMES:
            state.columns[name].index_copy_(0, self.rows, self.before.columns[name])
        return state

    def _now(self) -> SceneState:
        return SceneState.from_gaussians(self.edit.gaussians(()).detach(), self.edit.weights, self.ids)

    def _show_before(self) -> None:
        self.scene.is_edited(self.ids, self.before)
        self.scene.host.show_before(self.rows, {name: self.before.columns[name] for name in SPLATFACTO_NAMES})
