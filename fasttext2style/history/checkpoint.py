"""What a checkpoint keeps of its history, and how a loaded one is brought to what history.json says.

history.json is written before a checkpoint is, often long before: a killed program leaves a checkpoint that is some
steps behind, or that still contains a step which was undone since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fasttext2style.history.delta import checked_ids
from fasttext2style.history.history import Applied, History
from fasttext2style.history.state import SceneState
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.trust.documents import is_count, is_number

IDS = "history_ids"
"""Checkpoint entry: identities, int64 [gaussians]."""
APPLIED = "history_applied"
"""Checkpoint entry: steps in force and their strengths, JSON as uint8 [bytes]."""


def history_tensors(state: SceneState, history: History) -> dict[str, Tensor]:
    """Entries to save beside the scene, of a state that has exactly the steps in force."""
    return {IDS: state.ids.cpu(), APPLIED: _encoded(history.applied)}


def state_of_checkpoint(
    gaussians: Gaussians,
    selection: Float[Tensor, " gaussians"],
    entries: Mapping[str, Tensor],
    history: History,
) -> SceneState:
    """The scene of a checkpoint as history.json wants it; the tensors are written to.

    Args:
        entries: of the checkpoint; keys may have any prefix ("_model.history_ids"). Without ours, or with empty ones,
            it is taken for the scene that the history began with.

    Raises:
        ValueError: the checkpoint does not belong to this history, or needs a step whose files were removed.
    """
    ids = {key.rpartition(".")[2]: value for key, value in entries.items()}.get(IDS)
    ids = (
        None
        if ids is None or ids.numel() == 0
        else checked_ids(f"The checkpoint's entry {IDS}", ids).to(gaussians.device)
    )
    return reconcile(SceneState.from_gaussians(gaussians, selection, ids), applied_of_checkpoint(entries), history)


def applied_of_checkpoint(entries: Mapping[str, Tensor]) -> list[Applied]:
    """The steps that the scene of a checkpoint contains, by its entries; keys may have any prefix.

    Raises:
        ValueError: its entry is damaged.
    """
    applied = {key.rpartition(".")[2]: value for key, value in entries.items()}.get(APPLIED)
    return [] if applied is None or len(applied) == 0 else _decoded(applied)


def reconcile(state: SceneState, applied: Sequence[Applied], history: History) -> SceneState:
    """Bring a scene with the steps `applied` to the steps that the history says are in force; writes in place.

    Raises:
        ValueError: the scene does not have these steps, or the files of one of them were removed.
    """
    wanted = history.applied
    shared = next((n for n, (ours, theirs) in enumerate(zip(applied, wanted)) if ours != theirs), None)
    shared = min(len(applied), len(wanted)) if shared is None else shared
    moves = [(step.id, step.strength, 0.0) for step in reversed(applied[shared:])]
    moves += [(step.id, 0.0, step.strength) for step in wanted[shared:]]
    for step_id, old, new in moves:
        delta = history.delta(step_id)
        delta.check(state, old, new)
        state = delta.moved(state, old, new)
    return state


def _encoded(applied: Sequence[Applied]) -> UInt8[Tensor, " bytes"]:
    text = json.dumps([step._asdict() for step in applied])
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def _decoded(entry: UInt8[Tensor, " bytes"]) -> list[Applied]:
    try:
        steps = json.loads(bytes(entry.cpu().numpy()))
        applied = [Applied(**step) for step in steps]
        if not all(is_count(step.id) and is_number(step.strength) for step in applied):
            raise ValueError("it should hold steps and their strengths")
        return applied
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The checkpoint's entry {APPLIED} is damaged ({error})") from error
