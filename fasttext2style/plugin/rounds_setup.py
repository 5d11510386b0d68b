"""What a run of rounds and a live session have in common: the frozen networks, the loop, and how the object grows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fasttext2style.editors.editor import ImageEditor, OnStep
from fasttext2style.guidance.encoders import TextImageEncoder
from fasttext2style.plugin.model import SceneModel
from fasttext2style.plugin.strategy import GrowthConfig, ObjectGrowth
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.losses import PerceptualLoss
from fasttext2style.rounds.modes import MODES
from fasttext2style.rounds.views import SceneViews
from fasttext2style.scene.cameras import Cameras
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler

if TYPE_CHECKING:
    from fasttext2style.plugin.rounds_pipeline import RoundsPipelineConfig


@dataclass(frozen=True)
class Tools:
    """Frozen networks, outside of all modules: they are no part of a checkpoint."""

    editor: ImageEditor
    perceptual: PerceptualLoss | None
    encoder: TextImageEncoder | None


def new_rounds(
    config: RoundsPipelineConfig,
    tools: Tools,
    instruction: str,
    edit: EditableObject,
    cameras: Cameras,
    photographs: Tensor,
    model: SceneModel,
    folder: RoundsFolder,
    on_edit_step: OnStep | None = None,
) -> EditRounds:
    """The loop for an object; `start` or `resume` it.

    Args:
        cameras, photographs: [views] of the capture, [views, height, width, 3] as 8 bits.
        model: how the scene is rendered.

    Raises:
        ValueError: no view shows the object.
    """
    mode = MODES[config.mode]
    views = SceneViews(
        edit.scene,
        edit.merged_weights(),
        cameras,
        photographs,
        model.background_color.to(edit.scene.device),
        mode.mask_margin,
        model.config.rasterize_mode,
        mode.removes,
    )
    text = None
    if tools.encoder is not None:
        text = ObjectStyler(edit, cameras, tools.encoder, instruction, config.styler, config.seed)
    return EditRounds(
        edit,
        views,
        tools.editor,
        instruction,
        config.mode,
        config.rounds,
        folder,
        config.seed,
        tools.perceptual,
        text,
        on_edit_step,
    )


def rates_of_mode(optimizers: dict[str, Any], rate: float) -> dict[str, Any]:
    """nerfstudio's optimizer settings per group, with a share of the learning rates of everything but colour."""
    changed = {}
    for name, entry in optimizers.items():
        optimizer = entry["optimizer"]
        lr = optimizer.lr if name.startswith("features") else optimizer.lr * rate
        changed[name] = entry | {"optimizer": replace(optimizer, lr=lr)}
    return changed


class RoundGrowth:
    """Densification during one round: counts gradients from its first step on, to a multiple of the original object."""

    def __init__(self, config: GrowthConfig, rounds: EditRounds, optimizers: dict[str, torch.optim.Optimizer]) -> None:
        self.rounds = rounds
        config = replace(config, enabled=rounds.mode.grows)
        self._growth = ObjectGrowth(config, rounds.edit, optimizers, rounds.plan.steps)
        self._growth.strategy.cap = int(len(rounds.edit.original) * config.max_factor)
        self._growth.strategy.prune_opa = rounds.mode.prune_opacity

    def before_backward(self, info: dict[str, Any]) -> None:
        """Between the losses of a step and their gradients; in `info` the object's Gaussians come first."""
        self._info = info
        if self.rounds.grows:
            self._growth.before_backward(info)

    def after_step(self) -> bool:
        """After the optimizers' step, before `end_step`; tells whether Gaussians were added or removed."""
        if not self.rounds.grows:
            return False
        self._growth.info = _of_object(self._info, len(self.rounds.edit))
        if not self._growth.after_step(self.rounds.step):
            return False
        self.rounds.re_anchor()
        return True


def _of_object(info: dict[str, Any], count: int) -> dict[str, Any]:
    """The rasterizer's info for the first `count` Gaussians, with the gradients that backward left."""
    means2d = info["means2d"].detach()[:, :count].clone()
    means2d.grad = info["means2d"].grad[:, :count]
    return info | {"means2d": means2d, "radii": info["radii"][:, :count]}
