"""What a run of rounds and a live session have in common: the frozen networks, the loop, and how the object grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from fasttext2style.editors.editor import ImageEditor, OnStep
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.losses import PerceptualLoss
from fasttext2style.rounds.modes import MODES
from fasttext2style.rounds.views import SceneViews
from fasttext2style.scene.cameras import Cameras
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler

if TYPE_CHECKING:
    from fasttext2style.plugin.rounds.pipeline import RoundsPipelineConfig


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
