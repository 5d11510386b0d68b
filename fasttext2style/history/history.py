"""The steps of one scene: undo, redo, drop and blend, each bit by bit, also after a restart.

Making a step and changing its strength (dropping is strength 0) are moves; undo and redo go through the moves.

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
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from fasttext2style.history.delta import OTHER_SCENE, Delta, Footprint
from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.history.steps import Index, Kind, Move, Step
from fasttext2style.history.store import Store


class Applied(NamedTuple):
    """A step in force and how much of it."""

    id: int
    strength: float


class History:
    """Steps in the order in which they were made, and everything that was done to their strengths.

    Whatever is done is taken back in the opposite order; something new ends what could be done again.

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
        index = self._store.index
        return [Applied(step, strength) for step, strength in index.strengths.items()
                if strength > 0 and step in index.done_steps]  # fmt: skip

    @property
    def edits(self) -> list[Step]:
        """The edits in force, oldest first: of Gaussians, or (then none of them changed) of what surrounds them."""
        return [step for step in map(self.step, (it.id for it in self.applied)) if step.kind == "edit"]

    @property
    def can_undo(self) -> bool:
        return self.last_move is not None

    @property
    def can_redo(self) -> bool:
        return self.next_move is not None

    @property
    def last_move(self) -> Move | None:
        """What `undo` would take back."""
        position = self._last_position()
        return None if position is None else self._store.index.moves[position]

    @property
    def next_move(self) -> Move | None:
        """What `redo` would do again."""
        position = self._next_position()
        return None if position is None else self._store.index.moves[position]

    def is_done(self, step_id: int) -> bool:
        """It was made and not undone; it may have been taken out."""
        return step_id in self._store.index.done_steps

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

    def environment(self, step_id: int) -> Float[Tensor, "height width 3"] | None:
        """The panorama that a step put around the scene, or None; without reading what else it changed.

        Raises:
            ValueError: its file is missing or damaged.
        """
        return Delta.environment_in(self._store.delta_path(step_id))

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
        picture: bytes | None = None,
        in_force: bool = True,
    ) -> Step:
        """Keep what was just done to the scene; undone steps can then no longer be redone.

        Not `in_force`, it was not done: it is kept as if it had been taken out, `undo` passes over it, and `blend` with
        strength 1 does it. Selections are steps of their own, so that they never stand in the way of taking an edit
        out. `picture` is a PNG of at most 1024 pixels a side that the step took its style from.

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
            step_id, done = index.next_step_id, index.moves[: index.done]
            self._store.write_step(step_id, delta, facts, thumbnail, picture)
            next_gaussian_id = max(index.next_gaussian_id, delta.added.next_id)
            try:
                moves = (*done, Move(step_id, 0.0, 1.0 if in_force else 0.0))
                self._store.write_index(Index(moves, len(moves), step_id + 1, next_gaussian_id))
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
        """Take back what was done last: a step, or a change of a step's strength.

        Raises:
            ValueError: there is nothing, or the scene is not the one that it was done to.
        """
        position = self._last_position()
        if position is None:
            raise ValueError("There is nothing to undo: this is the scene that the history began with")
        step_id, old, new = self._store.index.moves[position]
        return self._moved(state, step_id, new, old, replace(self._store.index, done=position))

    def redo(self, state: SceneState) -> SceneState:
        """Do again what was undone last.

        Raises:
            ValueError: there is nothing, or the scene is not the one that it was done to.
        """
        position = self._next_position()
        if position is None:
            raise ValueError("There is nothing to redo: nothing was undone since the last change")
        index = self._store.index
        step_id, old, new = index.moves[position]
        # With it come back those that changed nothing when they were made: nobody could redo them by themselves.
        changing = (at for at in range(position + 1, len(index.moves)) if index.moves[at].old != index.moves[at].new)
        return self._moved(state, step_id, old, new, replace(index, done=next(changing, len(index.moves))))

    def drop(self, step_id: int, state: SceneState) -> SceneState:
        """Take one step out and leave the later ones; `undo` or `blend` with strength 1 brings it back.

        Raises:
            ValueError: no such step, it was undone, or a later one builds on it.
        """
        return self.blend(step_id, 0.0, state)

    def blend(self, step_id: int, strength: float, state: SceneState, goes_on: bool = False) -> SceneState:
        """Set how much of a step is in force: 0 as before it, bit by bit, 1 as after it, bit by bit.

        With `goes_on` it belongs to the last change, if that was to this step's strength, and is undone together with
        it: the positions of a slider on its way.

        Raises:
            ValueError: no such step, it was undone, a later one builds on it, or it cannot be blended (selections, and
                steps that added or removed Gaussians, are either in force or not).
        """
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"A strength lies between 0 (without the step) and 1 (the step as made), got {strength}")
        self._position(step_id)
        index = self._store.index
        if step_id not in index.done_steps:
            raise ValueError(f"{self.step(step_id).name} was undone: redo it first")
        footprint = self.footprint(step_id)
        for later in self._later(step_id):
            if self.footprint(later.id).meets(footprint):
                name = self.step(later.id).name
                raise ValueError(
                    f"{name} builds on {self.step(step_id).name}: it changed the same Gaussians. Take out {name} "
                    "first (ft2s history drop), or undo it."
                )
        moves, old = index.moves[: index.done], self._strengths[step_id]
        if strength == old:
            return state
        begun = old
        if goes_on and moves[-1].step == step_id and any(move.step == step_id for move in moves[:-1]):
            moves, begun = moves[:-1], moves[-1].old
        moves = (*moves, Move(step_id, begun, float(strength)))
        try:
            return self._moved(state, step_id, old, float(strength), replace(index, moves=moves, done=len(moves)))
        except ValueError as error:
            others = self._earlier_on_the_same(step_id) if old == 0 and OTHER_SCENE in str(error) else []
            if not others:
                raise
            raise ValueError(
                f"{self.step(step_id).name} changes the same Gaussians as {' and '.join(others)}, and was made when "
                f"{'that was' if len(others) == 1 else 'one of these was'} not in force, or not as strongly: take it "
                "out first (ft2s history drop)."
            ) from error

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
        if other.index.moves:
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

    def _earlier_on_the_same(self, step_id: int) -> list[str]:
        """Names of the earlier steps in force that touch what a step touches."""
        footprint, position = self.footprint(step_id), self._position(step_id)
        earlier = [step.id for step in self.applied if self._position(step.id) < position]
        return [self.step(it).name for it in earlier if self.footprint(it).meets(footprint)]

    @property
    def _strengths(self) -> dict[int, float]:
        return self._store.index.strengths

    def _position(self, step_id: int) -> int:
        return self._store.position(step_id)

    def _later(self, step_id: int) -> list[Applied]:
        return [step for step in self.applied if self._position(step.id) > self._position(step_id)]

    def _last_position(self) -> int | None:
        """Of the last move that is done and changed something."""
        index = self._store.index
        return next((at for at in reversed(range(index.done)) if index.moves[at].old != index.moves[at].new), None)

    def _next_position(self) -> int | None:
        """Of the first move that is undone and changed something."""
        moves = self._store.index.moves
        return next((at for at in range(self._store.index.done, len(moves)) if moves[at].old != moves[at].new), None)
