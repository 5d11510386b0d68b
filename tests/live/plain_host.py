"""A host of nothing but tensors, sessions on it, and what tests ask of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fasttext2style.envmaps.around import environment_of
from fasttext2style.history.checkpoint import history_tensors, state_of_checkpoint
from fasttext2style.history.history import History
from fasttext2style.history.state import SceneState
from fasttext2style.live.progress import Progress
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.session import LiveSession
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.steps import MakeOptimizers


class PlainHost:
    """A scene in memory, whose checkpoint is one file. Its scene is what whoever looks would see."""

    def __init__(self, gaussians: Gaussians, path: Path) -> None:
        self.path, self.device = path, gaussians.device
        # Copies: a session writes into the tensors that it is given.
        self.shown = SceneState.from_gaussians(gaussians, gaussians.means.new_zeros(len(gaussians))).copied()
        self.earlier: tuple[Tensor, Mapping[str, Tensor]] | None = None
        self.around: Tensor | None = None
        self.background_color = torch.zeros(3)
        self._entries: dict[str, Tensor] = {}

    @staticmethod
    def load(path: Path) -> PlainHost:
        """The host of a checkpoint."""
        saved = torch.load(path, weights_only=True)
        host = PlainHost(Gaussians.from_splatfacto(saved["scene"]), path)
        host.shown.selection.copy_(saved["selection"])
        host._entries = saved["entries"]
        return host

    def open(self, history: History) -> SceneState:
        state = state_of_checkpoint(self.shown.gaussians(), self.shown.selection, self._entries, history)
        self.show(state)
        self.note(history, state)
        return state

    def show(self, state: SceneState) -> None:
        self.shown = state

    def show_before(self, rows: Tensor, columns: Mapping[str, Tensor]) -> None:
        self.earlier = (rows, columns)

    def show_around(self, panorama: Tensor) -> None:
        self.around = panorama

    def note(self, history: History, state: SceneState) -> None:
        self.earlier = None
        self.around = environment_of(history, self.background_color)
        self._entries = history_tensors(state, history)

    def save(self) -> Path:
        scene = {name: column for name, column in self.shown.columns.items() if name != "selection"}
        torch.save({"scene": scene, "selection": self.shown.selection, "entries": self._entries}, self.path)
        return self.path


def open_session(host: PlainHost, cameras: Cameras, folder: Path) -> LiveSession:
    """A session that goes on with whatever history lies in the folder."""
    return LiveSession(LiveScene(host, cameras, History.open(folder / "history"), folder))


def adam(rates: Mapping[str, float]) -> MakeOptimizers:
    """Makes Adam for each group, at these learning rates."""

    def make(parameters, color_rate: float, geometry_rate: float) -> dict[str, torch.optim.Optimizer]:
        return {
            name: torch.optim.Adam(
                [parameter],
                lr=rates[name] * (color_rate if name.startswith("features") else geometry_rate),
                eps=1e-15,
            )
            for name, parameter in parameters.items()
        }

    return make


RATES = {"features_dc": 0.02, "features_rest": 0.001, "means": 1e-5, "scales": 2e-3, "quats": 1e-3, "opacities": 5e-3}
"""Those of the method fasttext2style."""


@dataclass(frozen=True)
class SelectRows:
    """The object, known exactly."""

    first: int
    last: int
    weight: float = 1.0
    title: str = "Select rows"

    def run(self, scene: LiveScene, progress: Progress) -> str:
        rows = torch.arange(len(scene.gaussians))
        weights = self.weight * ((rows >= self.first) & (rows < self.last)).float()
        return scene.select(Selection(weights, "rows"), f"rows {self.first} to {self.last}")


def bits(session: LiveSession) -> dict[str, Tensor]:
    """A copy of all that whoever looks sees, of the selection, and of the identities."""
    host = session.scene.host
    assert isinstance(host, PlainHost)
    return {name: column.clone() for name, column in host.shown.columns.items()} | {"ids": host.shown.ids.clone()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
