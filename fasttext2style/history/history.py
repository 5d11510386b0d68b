"""The steps of one scene: undo, redo, drop and blend, each bit by bit, also after a restart.

A scene is always what the steps in force make of the scene that the history began with, one after the other. Steps that
touch other Gaussians, or other columns, can therefore be taken out of the middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from fasttext2style.history.delta import Delta, Footprint
from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.history.steps import Index, Kind, Step
from fasttext2style.history.store import Store


class Applied(NamedTuple):
    """A step in force and how much of it."""

    id: int
    strength: float


class History:
    """Steps in the order in which they were made: done ones, then undone ones.

    Methods that take a state return the state to go on with (the same tensors, written to, as long as the number of
    Gaussians stays). They check it and write history.json before they touch it, so an error leaves both as they were.
    """

    def __init__(self, store: Store) -> None:
        """Use `History.open`."""
        self._store = store

    @staticmethod
    def open(folder: Path) -> History:
        """The history in a folder; an empty one, and nothing is written yet, if there is none.

        Raises:
            ValueError: history.json is not one of ours or damaged, or a step's file is missing.
        """
        return History(Store(Path(folder)))

    # --- what there is --------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        return self._store.folder

    @property
    def is_gone(self) -> bool:
        """It was there when it was opened or written last, and its files, or some of them, have been removed since."""
        return self._store.is_gone

    @property
    def steps(self) -> list[Step]:
        """All steps, undone and dropped ones included, oldest first."""
        return self._store.all

    @property
    def applied(self) -> list[Applied]:
        """The steps in force, oldest first; a checkpoint keeps this beside its scene (`checkpoint.py`)."""
        done = list(self._strengths.items())[: self._store.index.done]
        return [Applied(step_id, strength) for step_id, strength in done if strength > 0]

    @property
    def can_undo(self) -> bool:
        return bool(self.applied)

    @property
    def can_redo(self) -> bool:
        return self._next_undone() is not None

    def step(self, step_id: int) -> Step:
        """One step.

        Raises:
            ValueError: there is no such step.
        """
        return self._store.read_step(step_id)

    def delta(self, step_id: int) -> Delta:
        """What a step changed; also of one that can no longer be redone, until `purge`.

        Raises:
            ValueError: its file is missing or damaged.
        """
        return Delta.load(self._store.delta_path(step_id))

    def footprint(self, step_id: int) -> Footprint:
        """Which Gaussians a step touches.

        Raises:
            ValueError: its file is missing or damaged.
        """
        return Footprint.load(self._store.delta_path(step_id))

    def fresh_ids(self, state: SceneState, count: int) -> Int64[Tensor, " count"]:
        """Identities for new Gaussians that none had before, those of undone and dropped steps included."""
        first = max(state.next_id, self._store.index.next_gaussian_id)
        return torch.arange(first, first + count, device=state.device)

    # --- adding ---------------------------------------------------------------------------------------------------

    def record(
        self,
        delta: Delta,
        name: str,
        kind: Kind = "edit",
        prompt: str = "",
        settings: Mapping[str, Any] | None = None,
        seed: int | None = None,
        seconds: float = 0.0,
        metrics: Mapping[str, float] | None = None,
        thumbnail: UInt8[np.ndarray, "height width 3"] | None = None,
    ) -> Step:
        """Keep what was just done to the scene; undone steps can then no longer be redone.

        Selections are steps of their own, so that they never stand in the way of taking an edit out.

        Raises:
            ValueError: nothing changed, an edit that changes the selection too, or it could not be written; then the
                history is what it was.
        """
        if delta.is_empty:
            raise ValueError(f"{name!r} changed nothing, so there is no step to keep")
        if delta.is_selection != (kind == "selection") or (kind == "edit" and SELECTION in delta.before):
            raise ValueError(
                f"A step is either a selection or an edit, but {name!r}, of kind {kind}, changes "
                f"{', '.join(delta.before) or 'the number of Gaussians'}. Record the selection first, then the edit"
            )
        facts = {
            "name": name,
            "kind": kind,
            "prompt": prompt,
            "settings": dict(settings or {}),
            "seed": seed,
            "seconds": seconds,
            "metrics": dict(metrics or {}),
            "created": datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
            "gaussians_changed": len(delta.changed_ids) + len(delta.removed) + len(delta.added),
        }
        with self._store.changing():
            index = self._store.index
            step_id, done = index.next_step_id, dict(list(index.strengths.items())[: index.done])
            self._store.write_step(step_id, delta, facts, thumbnail)
            next_gaussian_id = max(index.next_gaussian_id, delta.added.next_id)
            try:
                self._store.write_index(Index(done | {step_id: 1.0}, len(done) + 1, step_id + 1, next_gaussian_id))
            except ValueError:
                self._store.remove_step(step_id)
                raise
        return self.step(step_id)

    def at_once(self) -> AbstractContextManager[None]:
        """Moves inside of this are written to disk together, when it ends well; else it is as if there were none.

        For those who save the scene, too: first the checkpoint, then the moves. A checkpoint that is ahead of its
        history is brought back to it when it is opened (`checkpoint.py`).
        """
        return self._store.at_once()

    # --- moving through the steps ---------------------------------------------------------------------------------

    def undo(self, state: SceneState) -> SceneState:
        """Take the latest step in force back.

        Raises:
            ValueError: there is none, or the scene is not the one that it was made on.
        """
        if not self.can_undo:
            raise ValueError("There is nothing to undo: this is the scene that the history began with")
        step_id, strength = self.applied[-1]
        return self._moved(state, step_id, strength, 0.0, replace(self._store.index, done=self._position(step_id)))

    def redo(self, state: SceneState) -> SceneState:
        """Do the step again that was undone last.

        Raises:
            ValueError: there is none, or an earlier step that it builds on has another strength now.
        """
        step_id = self._next_undone()
        if step_id is None:
            raise ValueError("There is nothing to redo: no step was undone since the last one was made")
        index = replace(self._store.index, done=self._position(step_id) + 1)
        return self._moved(state, step_id, 0.0, self._strengths[step_id], index)

    def drop(self, step_id: int, state: SceneState) -> SceneState:
        """Take one step out and leave the later ones; `blend` with strength 1 brings it back.

        Raises:
            ValueError: no such step, it was undone, or a later one builds on it.
        """
        return self.blend(step_id, 0.0, state)

    def blend(self, step_id: int, strength: float, state: SceneState) -> SceneState:
        """Set how much of a step is in force: 0 as before it, bit by bit, 1 as after it, bit by bit.

        Raises:
            ValueError: no such step, it was undone, a later one builds on it, or it cannot be blended (selections, and
                steps that added or removed Gaussians, are either in force or not).
        """
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"A strength lies between 0 (without the step) and 1 (the step as made), got {strength}")
        if self._position(step_id) >= self._store.index.done:
            raise ValueError(f"Step {step_id} was undone: redo it first")
        footprint = self.footprint(step_id)
        for later in self._later(step_id):
            if self.footprint(later.id).meets(footprint):
                raise ValueError(
                    f"Step {later.id} ({self.step(later.id).name}) builds on step {step_id}: it changed the same "
                    f"Gaussians. Undo or drop step {later.id} first"
                )
        index = replace(self._store.index, strengths=self._strengths | {step_id: float(strength)})
        return self._moved(state, step_id, self._strengths[step_id], float(strength), index)

    def before(self, state: SceneState, step_id: int) -> SceneState:
        """The scene as it was before a step: that one and all later ones taken back, on a copy.

        Raises:
            ValueError: no such step, or the scene is not the one of this history.
        """
        position = self._position(step_id)
        state = state.copied()
        for step in reversed(self.applied):
            if self._position(step.id) >= position:
                delta = self.delta(step.id)
                delta.check(state, step.strength, 0.0)
                state = delta.moved(state, step.strength, 0.0)
        return state

    # --- housekeeping ---------------------------------------------------------------------------------------------

    def purge(self) -> None:
        """Remove the files of steps that can no longer be redone. Call it after a checkpoint was saved.

        Not earlier: until then the latest checkpoint may contain such a step, and needs its delta to get rid of it.

        Raises:
            ValueError: another program writes to the run or has changed its history; then nothing was removed.
        """
        if self._store.unnamed_steps():
            with self._store.changing():
                for step_id in self._store.unnamed_steps():
                    self._store.remove_step(step_id)

    def carried_to(self, folder: Path) -> History:
        """The same history for another run that goes on from this one; steps are hard links where the disk can.

        Raises:
            ValueError: there is a history already, or it could not be written.
        """
        other = Store(Path(folder))
        if other.index.strengths:
            raise ValueError(f"{folder} has a history of {len(other.index.strengths)} steps already")
        self._store.link_steps_to(other)
        return History(other)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _moved(self, state: SceneState, step_id: int, old: float, new: float, index: Index) -> SceneState:
        delta = self.delta(step_id)
        delta.check(state, old, new)
        self._store.write_index(index)
        state = delta.moved(state, old, new)
        if delta.grows:
            # Gaussians that came back know nothing of what was selected meanwhile.
            for later in self._later(step_id):
                if self.footprint(later.id).columns == {SELECTION}:
                    self.delta(later.id).select_again(state)
        return state

    @property
    def _strengths(self) -> dict[int, float]:
        return self._store.index.strengths

    def _position(self, step_id: int) -> int:
        return self._store.position(step_id)

    def _later(self, step_id: int) -> list[Applied]:
        return [step for step in self.applied if self._position(step.id) > self._position(step_id)]

    def _next_undone(self) -> int | None:
        """The step that `redo` would do; dropped ones are passed over."""
        undone = list(self._strengths.items())[self._store.index.done :]
        return next((step_id for step_id, strength in undone if strength > 0), None)
