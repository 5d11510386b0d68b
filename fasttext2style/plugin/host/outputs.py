"""What a scene can show beside itself: its object, marked or as a mask, and how it looked before the last edit.

nerfstudio's viewer ("Output type", "Split Screen") and ns-render (`--rendered-output-names rgb before selection`) offer
every key of a model's outputs. These cost a render each, so they are rendered when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

TINT = 0.35
"""How much of the mark's colour lies on the object."""


class LazyOutputs(dict[str, Any]):
    """Outputs of a render; a function stands for one that is rendered when it is first read."""

    instead: Callable[[Exception], Tensor] | None = None
    """What is shown in place of one that cannot be rendered. None: the error is raised."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if callable(value):
            try:
                with torch.no_grad():
                    value = value()
            except (ValueError, OSError) as error:
                if self.instead is None:
                    raise
                value = self.instead(error)
            self[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def values(self) -> list[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return [self[name] for name in self]

    def items(self) -> list[tuple[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return [(name, self[name]) for name in self]

    def later(self, name: str, render: Callable[[], Tensor]) -> None:
        """Offer an output that is rendered when it is first read."""
        self[name] = render


class EarlierObject(nn.Module):
    """The object as it was before the last edit: rows of the present scene, and what stood in their place.

    Buffers, so that a checkpoint can show what was before without the run's history. Empty: nothing was edited.
    """

    def __init__(self, groups: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("rows", torch.empty(0, dtype=torch.long))
        for name, values in groups.items():
            self.register_buffer(name, values.detach()[:0].clone())
        self.groups = tuple(groups)

    @classmethod
    def of(cls, rows: Tensor, groups: Mapping[str, Tensor]) -> EarlierObject:
        """These rows, and what stood in their place."""
        earlier = cls(groups)
        earlier.set(rows, groups)
        return earlier

    def set(self, rows: Tensor, groups: Mapping[str, Tensor]) -> None:
        """Rows of the present scene, and the groups' values [earlier rows, ...] that were there before."""
        self.rows = rows
        for name in self.groups:
            setattr(self, name, groups[name].detach())

    def clear(self) -> None:
        self.set(self.rows[:0], {name: column[:0] for name, column in self.columns.items()})

    @property
    def is_empty(self) -> bool:
        return len(self.rows) == 0 and len(self.columns["means"]) == 0

    @property
    def columns(self) -> dict[str, Tensor]:
        """What stood in the rows' place."""
        return {name: getattr(self, name) for name in self.groups}

    def in_place_of(self, present: Mapping[str, Tensor], earlier: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The scene as it was, to be looked at, perhaps in another order.

        `present` are columns of all Gaussians, `earlier` the same columns of those that stood in the rows' place.
        """
        if len(self.rows) == len(earlier["means"]):
            return {name: present[name].index_copy(0, self.rows, earlier[name]) for name in present}
        keep = torch.ones(len(present["means"]), dtype=torch.bool, device=self.rows.device)
        keep[self.rows] = False
        return {name: torch.cat([present[name][keep], earlier[name]]) for name in present}

    def load(self, state: Mapping[str, Any], prefix: str) -> None:
        """Take the buffers of a checkpoint, of any number of rows; those of other programs have none."""
        if f"{prefix}rows" in state:
            device = self.rows.device
            self.set(state[f"{prefix}rows"].to(device), {n: state[f"{prefix}{n}"].to(device) for n in self.groups})
        else:
            self.clear()
