"""One edit as a step of a run's history: begun before its first step, finished after its last."""

from __future__ import annotations

from typing import Any

import torch

from fasttext2style.envmaps.around import environment_of
from fasttext2style.history.checkpoint import APPLIED, IDS, history_tensors, state_of_checkpoint
from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.plugin.host.model import GROUPS, SceneModel
from fasttext2style.scene.cameras import Cameras
from fasttext2style.styling.as_step import object_before, object_delta, thumbnail
from fasttext2style.styling.editable import EditableObject


def scene_of_history(model: SceneModel, history: History) -> SceneState:
    """Bring a model that was just loaded to what its history says; the state shares the model's tensors.

    Raises:
        ValueError: the scene is not one of this history.
    """
    entries = {name: value for name, value in model.state_dict().items() if name.startswith("history_")}
    state = state_of_checkpoint(model.gaussians(), model.selection, entries, history)
    show_state(model, state)
    take_history(model, history, state)
    return state


def show_state(model: SceneModel, state: SceneState) -> None:
    """Let a model show a state of the history, without copying it."""
    for name in GROUPS:
        model.gauss_params[name].data = state.columns[name]
    model.selection = state.selection


@torch.no_grad()
def take_history(model: SceneModel, history: History, state: SceneState) -> None:
    """Tell a model which steps its scene contains, and how its object looked before the last edit (output `before`)."""
    entries = history_tensors(state, history)
    model.history_ids, model.history_applied = entries[IDS].to(model.device), entries[APPLIED].to(model.device)
    edits = [step.id for step in history.edits]
    model.earlier.clear()  # first, for the files may be gone, and with them what is told below
    take_environment(model, history)
    if not edits:
        return
    delta = history.delta(edits[-1])
    changed, added = (state.rows_of(ids.to(state.device)) for ids in (delta.changed_ids, delta.added.ids))
    earlier = {name: delta.before.get(name, state.columns[name][changed]).to(state.device) for name in GROUPS}
    if delta.grows:
        removed = {name: delta.removed.columns[name].to(state.device) for name in GROUPS}
        earlier = {name: torch.cat([earlier[name], removed[name]]) for name in GROUPS}
    model.earlier.set(torch.cat([changed, added]), earlier)


def take_environment(model: SceneModel, history: History) -> None:
    """Let a model show what the history says is around its scene, now and before the last edit."""
    edits = [step.id for step in history.edits]
    panorama, earlier = environment_of(history, model.background_color), None
    if edits and history.environment(edits[-1]) is not None:
        earlier = environment_of(history, model.background_color, without=edits[-1])
        earlier = torch.empty(0, 0, 3) if earlier is None else earlier
    model.environment = None if panorama is None else panorama.to(model.device)
    model.earlier_environment = None if earlier is None else earlier.to(model.device)


class EditRecord:
    """Keeps an edit of a whole run: the choice of the object as one step, what was done to it as another.

    Args:
        history: of the run.
        state: the scene before the choice.
        model: the scene with the chosen object.
        edit: the object, not yet changed.
        origin: where the choice came from.

    Raises:
        ValueError: the choice could not be written.
    """

    def __init__(
        self, history: History, state: SceneState, model: SceneModel, edit: EditableObject, origin: str
    ) -> None:
        self.history, self.model, self.edit = history, model, edit
        choice = Delta.of_rows(state.ids, {SELECTION: state.selection}, {SELECTION: model.selection})
        if not choice.is_empty:
            history.record(choice, origin, kind="selection")
        self.before = object_before(state, edit)
        inside = torch.zeros(len(state), dtype=torch.bool, device=state.device)
        inside[edit.rows] = True
        self.ids, self.outside_ids = state.ids, state.ids[~inside]
        self.fresh_ids = history.fresh_ids(state, 1)
        self.take_earlier()

    def take_earlier(self) -> None:
        """Let the output `before` show the object as it was."""
        grown = torch.arange(len(self.outside_ids), len(self.model.selection), device=self.ids.device)
        self.model.earlier.set(grown if self.edit.has_grown else self.edit.rows, self.edit.original.to_splatfacto())

    def finish(self, name: str, view: Cameras, **facts: Any) -> None:
        """The model holds the edited scene: keep what changed as a step, and say so in the model's checkpoint.

        Raises:
            ValueError: it could not be written; the history is as before.
        """
        ids = self.ids
        if self.edit.has_grown:
            ids = torch.cat([self.outside_ids, self.fresh_ids + torch.arange(len(self.edit), device=ids.device)])
        delta = object_delta(self.before, self.edit, ids[len(self.outside_ids) :])
        if not delta.is_empty:
            self.history.record(delta, name, thumbnail=thumbnail(self.model.gaussians(), view), **facts)
        state = SceneState.from_gaussians(self.model.gaussians(), self.model.selection, ids)
        take_history(self.model, self.history, state)
