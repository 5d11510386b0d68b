"""A grey ball on a green floor as rounds see it: object, views, books."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from fasttext2style.editors.editor import ImageEditor, OnStep
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import Capture, GaussianSubject
from fasttext2style.rounds.growth import RoundGrowth
from fasttext2style.rounds.losses import LossConfig
from fasttext2style.rounds.modes import MODES, ModeName, Task
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.setup import new_rounds
from fasttext2style.rounds.tools import Tools
from fasttext2style.rounds.views import to_bytes
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import render
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.styling.steps import ObjectSteps
from fasttext2style.styling.styler import StylerConfig
from tests.ball import BALL, ball_on_floor, capture_cameras

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


def ball_capture(scene: Gaussians | None = None) -> Capture:
    """Ten views; the photographs are the renders of the ball as it stands on the floor."""
    cameras = capture_cameras()
    return Capture(cameras, to_bytes(render(scene or ball_on_floor(), cameras)[0]), torch.zeros(3))


def ball_subject(
    scene: Gaussians | None = None, selection: Selection | None = None, mode: ModeName = "restyle"
) -> GaussianSubject:
    edit = EditableObject(scene or ball_on_floor(), selection or ball_selection())
    return GaussianSubject(edit, ball_capture(scene), MODES[mode], LossConfig())


def ball_rounds(
    folder: Path,
    editor: ImageEditor,
    instruction: str = "make it red",
    mode: ModeName = "restyle",
    config: RoundsConfig | None = None,
    selection: Selection | None = None,
    scene: Gaussians | None = None,
    tools: Tools | None = None,
    styler: StylerConfig | None = None,
    on_edit_step: OnStep | None = None,
) -> EditRounds:
    """Rounds on the ball that were neither started nor resumed."""
    config = config or RoundsConfig(Schedule(rounds=2, steps=6))
    edit = EditableObject(scene or ball_on_floor(), selection or ball_selection())
    return new_rounds(
        edit,
        ball_capture(scene),
        tools or Tools(editor),
        Task(instruction, mode),
        config,
        styler or StylerConfig(),
        RoundsFolder(folder, config.keep),
        on_edit_step,
    )


def run(
    rounds: EditRounds,
    steps: int | None = None,
    growth: GrowthConfig | None = None,
    after_step: Callable[[], object] = lambda: None,
) -> EditRounds:
    """Train to the end, or so many steps; as the host does."""
    edit = object_of(rounds)
    optimizers = {name: torch.optim.Adam([parameter], lr=RATES[name]) for name, parameter in edit.parameters.items()}
    rounds.attach(optimizers)
    grows = RoundGrowth(growth, rounds, edit, optimizers) if growth else None
    object_steps = ObjectSteps(edit, optimizers, grows, rounds.subject.re_anchor)
    for _ in range(rounds.steps_left if steps is None else steps):
        rounds.begin_step()
        losses, info = rounds.losses()
        object_steps.take(losses, info, rounds.step)
        after_step()
        rounds.end_step()
    object_steps.close()
    return rounds


def object_of(rounds: EditRounds) -> EditableObject:
    assert isinstance(rounds.subject, GaussianSubject)
    return rounds.subject.edit


def parameters(rounds: EditRounds) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in rounds.subject.parameters.items()}
