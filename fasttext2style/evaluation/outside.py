"""What a run with a history changed outside its objects, by files; and how that is said.

A run may have edited several objects one after the other, and taken some of it back: outside is what no step touched,
by the identities of Gaussians.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fasttext2style.evaluation.locality import Drift, LoadedFile, came_or_went, outside_drift, outside_report, verdict
from fasttext2style.history.checkpoint import APPLIED, IDS, applied_of_checkpoint
from fasttext2style.history.delta import Footprint
from fasttext2style.history.history import Applied, History
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.terminal.console import say


def tell_verdict(outside: dict[str, Any]) -> None:
    """Say whether anything outside the object changed, so that nobody misses it if it did."""
    well, text = verdict(outside)
    loud = "bold white on red" if outside["gaussians_changed"] else "bold yellow"
    say(text, style="" if well else loud)


def outside_of_session(loaded: LoadedFile, checkpoint: Path, history: History) -> dict[str, Any]:
    """The part of a report that says what the steps of a session changed outside what they were to change."""
    return outside_report(
        loaded, lambda scene: {"checkpoint": drift_of_history(scene, SceneOnDisk(checkpoint), history)}
    )


def drift_of_history(loaded: SceneOnDisk, saved: SceneOnDisk, history: History) -> Drift:
    """What changed in the Gaussians that no step touched which one of the two scenes contains and the other does not.

    Args:
        history: of the run that saved; steps that only the loaded run knows are looked up beside it.

    Raises:
        ValueError: a file cannot be read, or a step is in no history any more.
    """
    touched = _touched(_applied(loaded), _applied(saved), history, History.open(loaded.path.parents[1] / "history"))
    (loaded_ids, before), (saved_ids, after) = (_untouched(scene, touched) for scene in (loaded, saved))
    if not torch.equal(loaded_ids, saved_ids):
        shared = int(torch.isin(loaded_ids, saved_ids).sum())
        return came_or_went(len(loaded_ids), max(len(loaded_ids), len(saved_ids)) - shared)
    return outside_drift(loaded, saved, before, after)


def _untouched(scene: SceneOnDisk, touched: Tensor) -> tuple[Tensor, Tensor]:
    """Identities and rows of the Gaussians that no step touched."""
    ids = scene.entry(IDS)
    ids = torch.arange(len(scene)) if ids is None or len(ids) == 0 else ids
    rows = (~torch.isin(ids, touched)).nonzero()[:, 0]
    return ids[rows], rows


def _applied(scene: SceneOnDisk) -> list[Applied]:
    entry = scene.entry(APPLIED)
    return [] if entry is None else applied_of_checkpoint({APPLIED: entry})


def _touched(one: list[Applied], other: list[Applied], *histories: History) -> Tensor:
    """Identities of all Gaussians that a step touched which one scene contains and the other does not."""
    ids = [torch.zeros(0, dtype=torch.long)]
    for step in {*one} ^ {*other}:
        footprint = _footprint(step.id, histories)
        if not footprint.is_selection:
            ids += [footprint.changed_ids, footprint.exchanged_ids]
    return torch.cat(ids).unique()


def _footprint(step_id: int, histories: tuple[History, ...]) -> Footprint:
    for history in histories:
        if any(step.id == step_id for step in history.steps):
            return history.footprint(step_id)
    raise ValueError(f"Step {step_id}, which made one of the scenes, is no longer in any history.")
