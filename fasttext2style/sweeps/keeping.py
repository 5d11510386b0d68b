"""A trial as a step of the history that is not in force: kept, found again, shown, and left out where others begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from fasttext2style.history.delta import Delta
from fasttext2style.history.history import History
from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.history.steps import Step
from fasttext2style.scene.cameras import Cameras
from fasttext2style.styling.as_step import thumbnail
from fasttext2style.sweeps.trial import Studio, Trial, Tried
from fasttext2style.trust.documents import is_count, is_mapping

SWEEP = "sweep"
"""Setting of steps that are trials: their key, and the second judge."""
OBJECT = "object_id"
"""Setting of steps: whose edit it is (live/objects.py)."""
_HIDING = {"hides_object", "hides_far"}
_SAME_OBJECT = 0.5
"""Share of both together that two edits of one object have in common."""


def without_trials(history: History, state: SceneState) -> SceneState:
    """The scene as it is but for trials that somebody put in force: sentences are tried beside each other.

    One that a later step builds on is part of the scene. The same state if there is none, else a copy.
    """
    later: list[int] = []
    for step in reversed(history.applied):
        footprint = history.footprint(step.id)
        if is_trial(history.step(step.id)) and not any(history.footprint(it).meets(footprint) for it in later):
            state = state.copied()
            delta = history.delta(step.id)
            delta.check(state, step.strength, 0.0)
            state = delta.moved(state, step.strength, 0.0)
        else:
            later.append(step.id)
    return state


def edits_beneath(history: History, state: SceneState) -> list[tuple[int, str]]:
    """Numbers and names of the edits in force that changed the object, but for trials."""
    ours, found = state.ids[state.selection > 0].cpu(), []
    numbers = numbers_of_edits(history)
    for step in history.edits:
        footprint = history.footprint(step.id)
        touched = torch.cat([footprint.changed_ids, footprint.exchanged_ids]).cpu()
        if not is_trial(step) and bool(torch.isin(ours, touched).any()):
            found.append((numbers[step.id], step.name))
    return found


def numbers_of_edits(history: History) -> dict[int, int]:
    """Step -> its number as `ft2s history` has it: selections do not count."""
    edits = [step.id for step in history.steps if step.kind == "edit"]
    return {step_id: number for number, step_id in enumerate(edits, 1)}


def is_trial(step: Step) -> bool:
    return _key_of(step) != ""


def found_again(history: History, studio: Studio, trials: list[Trial]) -> dict[int, Step]:
    """Trials that are steps already: number -> step."""
    steps = {_key_of(step): step for step in history.steps if step.kind == "edit" and history.is_done(step.id)}
    return {trial.number: steps[key] for trial in trials if (key := studio.key(trial)) in steps}


def keep(
    history: History, state: SceneState, studio: Studio, trial: Trial, tried: Tried, origin: str, view: Cameras
) -> Step | None:
    """Make a step of it that is not in force; None if it changed nothing.

    Args:
        state: the scene that it was tried on; it stays as it is.
        origin: of the object, in words.
        view: for its small picture.

    Raises:
        ValueError: it cannot be written.
    """
    delta = delta_of(state, tried, history)
    if delta.is_empty:
        return None
    settings: dict[str, Any] = {
        "steps": studio.how.steps,
        "object": origin,
        "encoder": tried.encoder,
        SWEEP: {"key": studio.key(trial), "second_judge": tried.judge},
    }
    if (owner := _owner(history, delta)) is not None:
        settings[OBJECT] = owner
    with in_force(state, delta) as shown:
        picture = thumbnail(shown.gaussians(), view)
    return history.record(
        delta,
        trial.prompt,
        prompt=trial.prompt,
        settings=settings,
        seed=trial.seed,
        seconds=tried.seconds,
        metrics=tried.metrics,
        thumbnail=picture,
        in_force=False,
    )


@torch.no_grad()
def delta_of(state: SceneState, tried: Tried, history: History) -> Delta:
    """What it would change in the scene."""
    before = state.at(state.ids[(state.selection > 0).nonzero()[:, 0]])
    columns = {name: column.to(state.device) for name, column in tried.columns.items()}
    if tried.has_grown:
        ids = history.fresh_ids(state, len(tried.weights))
        return Delta.of_growth(before, SceneState(columns | {SELECTION: tried.weights.to(state.device)}, ids))
    return Delta.of_rows(before.ids, {name: before.columns[name] for name in columns}, columns)


@contextmanager
def in_force(state: SceneState, delta: Delta) -> Iterator[SceneState]:
    """Inside, the scene with this step; afterwards the state is what it was, bit by bit.

    Raises:
        ValueError: the scene is not the one that the step was made on.
    """
    delta.check(state, 0.0, 1.0)
    shown = delta.moved(state, 0.0, 1.0)
    try:
        yield shown
    finally:
        # A step that grows leaves the state alone and makes another one; its columns that stay are the same tensors.
        if not delta.grows:
            delta.moved(state, 1.0, 0.0)


def second_judge_of(step: Step) -> str:
    """Who else judged a trial; empty: nobody."""
    facts: Any = step.settings.get(SWEEP)
    judge = facts.get("second_judge") if is_mapping(facts) else ""
    return judge if isinstance(judge, str) else ""


def _key_of(step: Step) -> str:
    facts: Any = step.settings.get(SWEEP)  # of a file that anybody may have written
    key = facts.get("key") if is_mapping(facts) else ""
    return key if isinstance(key, str) else ""


def _owner(history: History, delta: Delta) -> int | None:
    """The object that an earlier edit of mostly the same Gaussians made; None: this is the first."""
    ours = torch.cat([delta.changed_ids, delta.removed.ids]).cpu()
    for step in reversed(history.steps):
        is_edit = step.kind == "edit" and step.gaussians_changed and not _HIDING & step.settings.keys()
        if not is_edit or not history.is_done(step.id):
            continue
        footprint = history.footprint(step.id)
        if _overlap(ours, torch.cat([footprint.changed_ids, footprint.exchanged_ids]).cpu()) >= _SAME_OBJECT:
            owner: Any = step.settings.get(OBJECT)
            return owner if is_count(owner) else step.id
    return None


def _overlap(one: Tensor, other: Tensor) -> float:
    shared = int(torch.isin(one, other).sum())
    return shared / max(1, len(one) + len(other) - shared)
