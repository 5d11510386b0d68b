"""A grey ball on a green floor as rounds see it: object, views, books."""

from __future__ import annotations

from pathlib import Path

import torch

from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.modes import MODES, ModeName
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.views import SceneViews, to_bytes
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.gate import UpdateGate
from tests.plugin.hosts import BALL, ball_on_floor, capture_cameras

RATES = {"features_dc": 0.05, "features_rest": 0.002, "opacities": 0.05, "means": 1e-4, "scales": 5e-3, "quats": 1e-3}


def ball_selection() -> Selection:
    weights = torch.zeros(len(ball_on_floor()))
    weights[:BALL] = 1
    return Selection(weights, "the ball")


def sunk_ball() -> Gaussians:
    """The ball half in the floor, which hides the floor inside it from every view; there the floor is white."""
    scene = ball_on_floor()
    scene.means[:BALL, 2] -= 0.35
    inside = scene.means[:, :2].norm(dim=1) < 0.25
    inside[:BALL] = False
    scene.sh_dc[inside] = 1.7
    return scene


def ball_views(
    mask_margin: float = 0.0, selection: Selection | None = None, removes: bool = False, scene: Gaussians | None = None
) -> SceneViews:
    scene, cameras = scene or ball_on_floor(), capture_cameras()
    photographs = to_bytes(render(scene, cameras)[0])
    weights = (selection or ball_selection()).weights
    return SceneViews(scene, weights, cameras, photographs, torch.zeros(3), mask_margin, removes=removes)


def ball_rounds(
    folder: Path,
    editor,
    instruction: str = "make it red",
    mode: ModeName = "restyle",
    config: RoundsConfig | None = None,
    selection: Selection | None = None,
    scene: Gaussians | None = None,
) -> EditRounds:
    """Rounds on the ball that were neither started nor resumed."""
    config = config or RoundsConfig(Schedule(rounds=2, steps=6))
    selection = selection or ball_selection()
    edit = EditableObject(scene or ball_on_floor(), selection)
    views = ball_views(MODES[mode].mask_margin, selection, MODES[mode].removes, scene)
    return EditRounds(edit, views, editor, instruction, mode, config, RoundsFolder(folder, config.keep))


def run(rounds: EditRounds, steps: int | None = None) -> EditRounds:
    """Train to the end, or so many steps; as the host does."""
    optimizers = {
        name: torch.optim.Adam([parameter], lr=RATES[name]) for name, parameter in rounds.edit.parameters.items()
    }
    rounds.attach(optimizers)
    gate = UpdateGate()
    gate.attach(optimizers, lambda: rounds.edit.weights)
    for _ in range(rounds.steps_left if steps is None else steps):
        losses, _ = rounds.losses()
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        for optimizer in optimizers.values():
            optimizer.step()
        rounds.end_step()
    gate.detach()
    return rounds


def parameters(rounds: EditRounds) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in rounds.edit.parameters.items()}
