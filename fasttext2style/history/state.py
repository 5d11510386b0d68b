"""A scene as the history sees it: named columns and, per Gaussian, an identity that stays when rows come and go.

Rows are always sorted by identity. The scene that a history begins with has 0, 1, 2, ... and new Gaussians get larger
identities that no one had before, so there is one order only: what was removed comes back to where it was, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from fasttext2style.scene.gaussians import SPLATFACTO_NAMES, Gaussians

SELECTION = "selection"
"""The column that is not looked at but works: the weight of each Gaussian in the present object."""


@dataclass(frozen=True)
class SceneState:
    """Gaussians under splatfacto's names, "selection", and identities.

    Columns may be the very tensors of a model: nothing is copied, and edits that keep the number of Gaussians write
    into them.
    """

    columns: dict[str, Tensor]
    """splatfacto's six names and "selection" -> [gaussians, ...]."""
    ids: Int64[Tensor, " gaussians"]
    """Identities, strictly ascending."""

    def __post_init__(self) -> None:
        expected = {*SPLATFACTO_NAMES, SELECTION}
        if set(self.columns) != expected:
            raise ValueError(f"A scene state has the columns {sorted(expected)}, got {sorted(self.columns)}")
        lengths = {name: len(column) for name, column in self.columns.items()}
        if set(lengths.values()) != {len(self.ids)}:
            raise ValueError(f"Columns should have one row for each of {len(self.ids):,} identities, got {lengths}")
        if not bool((self.ids[1:] > self.ids[:-1]).all()):
            raise ValueError("Identities should ascend and none occur twice: sort the rows by identity first")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def device(self) -> torch.device:
        return self.ids.device

    @property
    def selection(self) -> Float[Tensor, " gaussians"]:
        """Weights of the present object."""
        return self.columns[SELECTION]

    @property
    def next_id(self) -> int:
        """The first identity beyond all of these (a history may know of larger ones: `History.fresh_ids`)."""
        return int(self.ids[-1]) + 1 if len(self) else 0

    @staticmethod
    def from_gaussians(
        gaussians: Gaussians,
        selection: Float[Tensor, " gaussians"],
        ids: Int64[Tensor, " gaussians"] | None = None,
    ) -> SceneState:
        """Shares the tensors; without `ids` this is where a history begins: 0, 1, 2, ..."""
        if ids is None:
            ids = torch.arange(len(gaussians), device=gaussians.device)
        return SceneState(gaussians.detach().to_splatfacto() | {SELECTION: selection.detach()}, ids)

    @staticmethod
    def empty() -> SceneState:
        """No Gaussians at all."""
        nothing = Gaussians(*(torch.zeros(shape) for shape in ((0, 3), (0, 4), (0, 3), (0,), (0, 3), (0, 0, 3))))
        return SceneState.from_gaussians(nothing, torch.zeros(0))

    def gaussians(self) -> Gaussians:
        """The scene without identities and selection; shares the tensors."""
        return Gaussians.from_columns(self.columns)

    def find(self, ids: Int64[Tensor, " wanted"]) -> tuple[Int64[Tensor, " wanted"], Bool[Tensor, " wanted"]]:
        """Row of each of these identities, and whether it is there at all (if not, its row means nothing)."""
        if len(self) == 0:
            return torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
        rows = torch.searchsorted(self.ids, ids).clamp_max(len(self) - 1)
        return rows, self.ids[rows] == ids

    def rows_of(self, ids: Int64[Tensor, " wanted"]) -> Int64[Tensor, " wanted"]:
        """Row of each of these identities.

        Raises:
            ValueError: some are not in the scene.
        """
        rows, found = self.find(ids)
        if not bool(found.all()):
            raise ValueError(f"{int((~found).sum()):,} of {len(ids):,} Gaussians are not in this scene any more")
        return rows

    def at(self, ids: Int64[Tensor, " wanted"]) -> SceneState:
        """A copy of these Gaussians (ascending identities)."""
        rows = self.rows_of(ids)
        return SceneState({name: column[rows] for name, column in self.columns.items()}, ids)

    def copied(self) -> SceneState:
        """The same with tensors of its own."""
        return SceneState({name: column.clone() for name, column in self.columns.items()}, self.ids)

    def exchanged(self, removed: Int64[Tensor, " removed"], added: SceneState) -> SceneState:
        """A new scene without the Gaussians `removed`, with those of `added`, in the order of identities.

        Raises:
            ValueError: something to remove is not there, or something to add is there already.
        """
        keep = torch.ones(len(self), dtype=torch.bool, device=self.device)
        keep[self.rows_of(removed)] = False
        kept_rows, added_ids = keep.nonzero()[:, 0], added.ids.to(self.device)
        ids, order = torch.cat([self.ids[kept_rows], added_ids]).sort()
        if not bool((ids[1:] > ids[:-1]).all()):
            raise ValueError("Some of the Gaussians to add are in this scene already")
        is_added = order >= len(kept_rows)
        # What is added is gathered from row 0 first, then written over: no column is ever held three times.
        source = torch.where(is_added, 0, torch.cat([kept_rows, torch.zeros_like(added_ids)])[order])
        places = is_added.nonzero()[:, 0]
        columns = {}
        for name, column in self.columns.items():
            rows = added.columns[name].to(column)
            columns[name] = column[source].index_copy_(0, places, rows) if len(self) else rows.clone()
        return SceneState(columns, ids)
