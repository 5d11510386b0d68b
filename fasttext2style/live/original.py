"""The scene as it was captured: everything that was ever edited, as it was before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.scene.gaussians import SPLATFACTO_NAMES


class Earlier(NamedTuple):
    """Rows of the present scene, and what stood in their place, under splatfacto's names: perhaps more or fewer."""

    rows: Tensor
    columns: Mapping[str, Tensor]


def before_all_edits(history: History, state: SceneState, editing: tuple[Tensor, SceneState] | None) -> Earlier:
    """What the edits in force have changed, as it was before them.

    Args:
        state: the scene as it is now.
        editing: identities of Gaussians that are being changed, and what stood in their place.

    Raises:
        ValueError: a step's file is missing or damaged.
    """
    ids, before = captured(history, state, editing)
    return Earlier(state.rows_of(ids), {name: before.columns[name] for name in SPLATFACTO_NAMES})


@torch.no_grad()
def captured(
    history: History, state: SceneState, editing: tuple[Tensor, SceneState] | None = None
) -> tuple[Tensor, SceneState]:
    """Identities of what the edits in force have changed, and all of that as it was captured; see above."""
    edits = [step for step in history.applied if not history.footprint(step.id).is_selection]
    touched = [torch.zeros(0, dtype=torch.long)]
    for step in edits:
        footprint = history.footprint(step.id)
        touched += [footprint.changed_ids, footprint.exchanged_ids]
    ids = torch.cat([part.to(state.device) for part in touched] + ([] if editing is None else [editing[0]])).unique()
    ids = ids[state.find(ids)[1]]
    before = state.at(ids)
    if editing is not None:
        before = before.exchanged(*editing)
    for step in reversed(edits):
        before = history.delta(step.id).moved(before, step.strength, 0.0)
    return ids, before
