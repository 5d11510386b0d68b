"""What a step changed, and nothing else: enough to take it back, to repeat it, and to do it by halves.

A step has a strength: 0 is as if it had never been, 1 is the step as it was made, between them rows that exist on both
sides are blended. Taking back, repeating and blending are one operation, `Delta.moved`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fasttext2style.history.state import SELECTION, SceneState
from fasttext2style.history.steps import LARGEST_ID
from fasttext2style.scene.bits import changed_rows, same_bits
from fasttext2style.scene.gaussians import check_column
from fasttext2style.trust.sizes import check_is_file

FORMAT = "fasttext2style-delta-1"
"""Marks the files of `Delta.save`."""
OTHER_SCENE = (
    "The scene is not the one that this step was made on (was it trained further, or changed by another program?):"
)
_ENVIRONMENT = "environment"
_WITH_IDS = ("changed", "removed", "added")
ROWS_AT_ONCE = 1 << 16
"""Rows that are compared and written together, so that a step over a whole scene needs no copy of it."""


@dataclass(frozen=True)
class Delta:
    """Changed, removed and added Gaussians of one step."""

    changed_ids: Int64[Tensor, " changed"]
    """Gaussians that exist before and after, ascending."""
    before: dict[str, Tensor]
    """Their columns with changed bits -> [changed, ...], as they were."""
    after: dict[str, Tensor]
    """The same columns as they became."""
    removed: SceneState
    """Gaussians that the step took away."""
    added: SceneState
    """Gaussians that the step brought."""
    environment: Float[Tensor, "height width 3"] | None = None
    """Light around the scene from this step on, a panorama (envmaps/sphere.py); None: the step leaves it as it is."""

    @staticmethod
    def of_rows(
        ids: Int64[Tensor, " rows"],
        before: Mapping[str, Tensor],
        after: Mapping[str, Tensor],
    ) -> Delta:
        """Of rows that kept their identity; only rows and columns with changed bits are stored (copied).

        An edit that kept the number of Gaussians, with `edit` a styling.EditableObject:
        `Delta.of_rows(state.ids[edit.rows], edit.original.to_splatfacto(), edit.gaussians().to_splatfacto())`
        A selection: `Delta.of_rows(state.ids, {"selection": old}, {"selection": new})`
        """
        if set(before) != set(after):
            raise ValueError(f"Before and after should have the same columns, got {sorted(before)} and {sorted(after)}")
        changed = {name: changed_rows(before[name].detach(), after[name].detach()) for name in before}
        columns = [name for name, rows in changed.items() if bool(rows.any())]
        none = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        rows = torch.stack([none, *(changed[name] for name in columns)]).any(dim=0).nonzero()[:, 0]
        rows = rows[ids[rows].argsort()]
        before_rows, after_rows = ({name: side[name].detach()[rows] for name in columns} for side in (before, after))
        return Delta(ids[rows], before_rows, after_rows, SceneState.empty(), SceneState.empty())

    @staticmethod
    def of_growth(removed: SceneState, added: SceneState) -> Delta:
        """Of an edit that densified: the object's Gaussians leave, those that it has become arrive with new identities.

        With `edit` a styling.EditableObject and `weights` the object's selection weights before the edit:
        `removed = SceneState.from_gaussians(edit.original, weights, state.ids[edit.rows])`
        `added = SceneState.from_gaussians(edit.gaussians(), edit.weights, history.fresh_ids(state, len(edit)))`

        Raises:
            ValueError: an identity on both sides.
        """
        if bool(torch.isin(added.ids, removed.ids).any()):
            raise ValueError("Added Gaussians need new identities (History.fresh_ids), some are those of removed ones")
        return Delta(removed.ids[:0], {}, {}, removed, added)

    @staticmethod
    def between(before: SceneState, after: SceneState) -> Delta:
        """All that differs between two states of a scene."""
        kept_before, kept_after = torch.isin(before.ids, after.ids), torch.isin(after.ids, before.ids)
        if bool(kept_before.all()) and bool(kept_after.all()):
            return Delta.of_rows(before.ids, before.columns, after.columns)
        ids = before.ids[kept_before]
        same = Delta.of_rows(ids, before.at(ids).columns, after.at(ids).columns)
        removed, added = before.at(before.ids[~kept_before]), after.at(after.ids[~kept_after])
        return Delta(same.changed_ids, same.before, same.after, removed, added)

    @property
    def is_empty(self) -> bool:
        """Not a bit changed."""
        return len(self.changed_ids) == 0 and not self.grows and self.environment is None

    @property
    def grows(self) -> bool:
        """Gaussians come or go."""
        return len(self.removed) + len(self.added) > 0

    @property
    def is_selection(self) -> bool:
        """Nothing that can be seen changed, only which Gaussians are the object."""
        return not self.grows and set(self.before) == {SELECTION}

    def value(self, column: str, strength: float, rows: Tensor | slice = slice(None)) -> Tensor:
        """[changed, ...] (or some rows of it) the column at a strength, 0 and 1 bit by bit.

        Between them quaternions go along the shorter arc; logarithms of scales, logits of opacities and colours are
        blended as they are stored.
        """
        before, after = self.before[column][rows], self.after[column][rows]
        if strength in (0.0, 1.0):
            return after if strength else before
        if column == "quats":
            before, after = (torch.nn.functional.normalize(quats, dim=1) for quats in (before, after))
            after = torch.where((before * after).sum(dim=1, keepdim=True) < 0, -after, after)
            return torch.nn.functional.normalize(before + (after - before) * strength, dim=1)
        # Where nothing changed nothing may be computed: infinite minus infinite is no number.
        return torch.where(same_bits(before, after), before, before + (after - before) * strength)

    @torch.no_grad()
    def check(self, state: SceneState, old: float, new: float) -> None:
        """Whether a scene has this step at strength `old` and can be brought to `new`.

        Raises:
            ValueError: the scene is not the one that the step was made on, or something is to be blended that cannot
                be: a selection, or a step that added or removed Gaussians.
        """
        if not {old, new} <= {0.0, 1.0} and (self.grows or self.is_selection):
            what = "selected" if self.is_selection else "added or removed Gaussians"
            raise ValueError(f"This step {what}, so it cannot be blended: take strength 0 (without it) or 1 (with it)")
        rows, found = state.find(self.changed_ids.to(state.device))
        # A selection may know Gaussians that a step taken out since had brought.
        if not self.is_selection and not bool(found.all()):
            raise ValueError(f"{OTHER_SCENE} {int((~found).sum()):,} Gaussians that it changed are gone")
        for name in self.before:
            for part in found.nonzero()[:, 0].split(ROWS_AT_ONCE):
                expected = self.value(name, old, part.cpu())
                _check_same(name, state.columns[name][rows[part]], expected, exact=old in (0.0, 1.0))
        if self.grows and old != new:
            outgoing = self.added if old else self.removed
            rows = state.rows_of(outgoing.ids.to(state.device))
            # Its weights may have changed: selections do not count as building on an edit.
            for name in set(state.columns) - {SELECTION}:
                for part in torch.arange(len(rows)).split(ROWS_AT_ONCE):
                    _check_same(name, state.columns[name][rows[part]], outgoing.columns[name][part], exact=True)

    @torch.no_grad()
    def moved(self, state: SceneState, old: float, new: float) -> SceneState:
        """Bring a scene that has this step at strength `old` to strength `new`; call `check` first.

        As long as no Gaussian comes or goes the columns' own tensors are written to; the state that is returned is the
        one to go on with. Bits are those of before at strength 0, and those of after at 1.
        """
        rows, found = state.find(self.changed_ids.to(state.device))
        for name in self.before:
            for part in found.nonzero()[:, 0].split(ROWS_AT_ONCE):
                column = state.columns[name]
                column.index_copy_(0, rows[part], self.value(name, new, part.cpu()).to(column))
        if not self.grows or old == new:
            return state
        outgoing, incoming = (self.added, self.removed) if old else (self.removed, self.added)
        return state.exchanged(outgoing.ids.to(state.device), incoming)

    @torch.no_grad()
    def select_again(self, state: SceneState) -> None:
        """Write the weights of a selection step once more, after Gaussians that it knows came back."""
        rows, found = state.find(self.changed_ids.to(state.device))
        weights = self.after[SELECTION][found.cpu()].to(state.selection)
        state.selection.index_copy_(0, rows[found], weights)

    def save(self, path: Path) -> None:
        """Write a safetensors file.

        Raises:
            ValueError: the disk is full or cannot be written; a file may be left that `load` refuses.
        """
        tensors = {"changed.ids": self.changed_ids}
        tensors |= {f"before.{name}": column for name, column in self.before.items()}
        tensors |= {f"after.{name}": column for name, column in self.after.items()}
        for side, rows in (("removed", self.removed), ("added", self.added)):
            tensors |= {f"{side}.ids": rows.ids} | {f"{side}.{name}": column for name, column in rows.columns.items()}
        if self.environment is not None:
            tensors[_ENVIRONMENT] = self.environment
        try:
            save_file({name: _own(tensor) for name, tensor in tensors.items()}, path, metadata={"format": FORMAT})
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{path} could not be written ({error}); free some disk space and try again") from error

    @staticmethod
    def load(path: Path) -> Delta:
        """From a file of `save`, onto the CPU.

        Raises:
            ValueError: no such file, cut short, or of another kind.
        """
        with _opened(path) as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
        parts: dict[str, dict[str, Tensor]] = {"changed": {}, "before": {}, "after": {}, "removed": {}, "added": {}}
        try:
            environment = _checked_environment(tensors.pop(_ENVIRONMENT, None))
            for key, tensor in tensors.items():
                part, _, name = key.partition(".")
                if part not in parts:
                    raise ValueError(f"{key[:80]!r} is nothing that a step changes")
                parts[part][name] = tensor
            ids = {part: checked_ids(f"{part}.ids", parts[part].pop("ids", None)) for part in _WITH_IDS}
            before, after = parts["before"], parts["after"]
            if set(before) != set(after) or parts["changed"]:
                raise ValueError(f"it has other columns before ({sorted(before)}) than after ({sorted(after)})")
            for name in before:
                _check_column(name, before[name], len(ids["changed"]))
                _check_column(name, after[name], len(ids["changed"]))
                if before[name].shape != after[name].shape or before[name].dtype != after[name].dtype:
                    raise ValueError(f"{name} has another shape or type before than after")
            for part in ("removed", "added"):
                for name, column in parts[part].items():
                    _check_column(name, column, len(ids[part]))
            removed, added = (SceneState(parts[part], ids[part]) for part in ("removed", "added"))
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as a history step ({error})") from error
        return Delta(ids["changed"], before, after, removed, added, environment)

    @staticmethod
    def of_environment(panorama: Float[Tensor, "height width 3"]) -> Delta:
        """Of a step that changes no Gaussian, but what surrounds them: linear radiance, as it lies around the scene."""
        nothing = SceneState.empty()
        return Delta(nothing.ids, {}, {}, nothing, nothing, _checked_environment(panorama.detach().float()))

    @staticmethod
    def environment_in(path: Path) -> Float[Tensor, "height width 3"] | None:
        """`environment` of a file of `save`, without reading the rows.

        Raises:
            ValueError: no such file, or damaged.
        """
        with _opened(path) as stream:
            found = stream.get_tensor(_ENVIRONMENT) if _ENVIRONMENT in stream.keys() else None  # noqa: SIM118
        try:
            return _checked_environment(found)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as a history step ({error})") from error


@dataclass(frozen=True)
class Footprint:
    """Which columns of which Gaussians a step touches."""

    columns: frozenset[str]
    """With changed bits."""
    changed_ids: Int64[Tensor, " changed"]
    """Gaussians whose columns changed."""
    exchanged_ids: Int64[Tensor, " exchanged"]
    """Gaussians that came or went."""

    @staticmethod
    def load(path: Path) -> Footprint:
        """From a file of `Delta.save`, without reading the rows themselves."""
        with _opened(path) as stream:
            keys = set(stream.keys())
            columns = {name.removeprefix("before.") for name in keys if name.startswith("before.")}
            found = {part: stream.get_tensor(f"{part}.ids") if f"{part}.ids" in keys else None for part in _WITH_IDS}
            ids = {part: checked_ids(f"{part}.ids of {path}", ids) for part, ids in found.items()}
        return Footprint(frozenset(columns), ids["changed"], torch.cat([ids["removed"], ids["added"]]))

    @property
    def is_selection(self) -> bool:
        """As `Delta.is_selection`."""
        return self.columns == {SELECTION} and len(self.exchanged_ids) == 0

    def meets(self, other: Footprint) -> bool:
        """Both touch the same: then the later step builds on the earlier one, which must stay as it is.

        A selection and an edit never meet: weights of Gaussians that are gone are left aside.
        """
        if self.columns & other.columns and _share(self.changed_ids, other.changed_ids):
            return True
        if self.columns == {SELECTION} or other.columns == {SELECTION}:
            return False
        return (
            _share(self.exchanged_ids, other.exchanged_ids)
            or _share(self.exchanged_ids, other.changed_ids)
            or _share(self.changed_ids, other.exchanged_ids)
        )


def checked_ids(name: str, ids: Tensor | None) -> Tensor:
    if ids is None or ids.dtype != torch.int64 or ids.ndim != 1 or not bool((ids >= 0).all()):
        got = "nothing" if ids is None else f"{ids.dtype} {list(ids.shape)}"
        raise ValueError(f"{name} should be whole numbers from 0 on [gaussians], got {got}")
    if len(ids) and int(ids[-1]) >= LARGEST_ID:
        raise ValueError(f"{name} should be below {LARGEST_ID:,}, got {int(ids[-1]):,}")
    if not bool((ids[1:] > ids[:-1]).all()):
        raise ValueError(f"{name} should ascend, and none occur twice")
    return ids


def _checked_environment(panorama: Tensor | None) -> Tensor | None:
    if panorama is None:
        return None
    shape = panorama.shape
    if len(shape) != 3 or shape[2] != 3 or shape[1] != 2 * shape[0] or not len(panorama):
        raise ValueError(f"{_ENVIRONMENT} should be a panorama [height, 2 height, 3], got {list(shape)}")
    if panorama.dtype != torch.float32 or not bool((torch.isfinite(panorama) & (panorama >= 0)).all()):
        raise ValueError(f"{_ENVIRONMENT} should be finite radiance from 0 on in 32 bits, got {panorama.dtype}")
    return panorama


def _check_column(name: str, column: Tensor, rows: int) -> None:
    """Shapes are those of a scene, so that moving a step never fails half way."""
    if name != SELECTION:
        check_column(name, column, rows)
    elif column.shape != (rows,) or not column.dtype.is_floating_point:
        raise ValueError(
            f"{name} should be a weight for each of {rows:,} rows, got {column.dtype} {list(column.shape)}"
        )


def _share(ours: Tensor, theirs: Tensor) -> bool:
    return bool(torch.isin(ours, theirs).any())


def _check_same(column: str, found: Tensor, expected: Tensor, exact: bool) -> None:
    """Rows of the scene against what the step left there; blended ones to rounding, which differs between machines."""
    found = found.cpu()
    if found.shape != expected.shape:
        raise ValueError(f"{OTHER_SCENE} {column} has the shape {list(found.shape)}, not {list(expected.shape)}")
    same = same_bits(found, expected) if exact else found.isclose(expected, rtol=1e-4, atol=1e-6, equal_nan=True)
    differing = int((~same[:, None].flatten(1).all(dim=1)).sum())
    if differing:
        raise ValueError(f"{OTHER_SCENE} {column} of {differing:,} Gaussians differs")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    check_is_file(path)
    try:
        with safe_open(path, framework="pt") as stream:
            kind = (stream.metadata() or {}).get("format")
            if kind != FORMAT:
                raise ValueError(f"{path} is no history step: expected format {FORMAT}, got {kind}")
            yield stream
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read as a history step ({error})") from error


def _own(tensor: Tensor) -> Tensor:
    """Contiguous, on the CPU, as safetensors wants it."""
    return tensor.detach().cpu().contiguous()
