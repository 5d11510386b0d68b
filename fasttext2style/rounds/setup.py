"""What a run of rounds and a live session have in common: the loop around an object of a scene."""

from __future__ import annotations

from fasttext2style.editors.editor import OnStep
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.edit_rounds import EditRounds
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.gaussian_subject import Capture, GaussianSubject
from fasttext2style.rounds.modes import MODES, Task
from fasttext2style.rounds.tools import Tools
from fasttext2style.styling.editable import EditableObject
from fasttext2style.styling.styler import ObjectStyler, StylerConfig


def new_rounds(
    edit: EditableObject,
    capture: Capture,
    tools: Tools,
    task: Task,
    config: RoundsConfig,
    styler: StylerConfig,
    folder: RoundsFolder,
    on_edit_step: OnStep | None = None,
) -> EditRounds:
    """The loop for an object; `start` or `resume` it. What is to be removed is gone from `edit` afterwards.

    Args:
        edit: the object.
        capture: the views, and how they are rendered.
        tools: the frozen networks; with an encoder the instruction draws the object beside the pictures, too.
        task: instruction, mode and seed.
        config: schedule, edit, losses, and what is kept.
        styler: of the text loss.
        folder: where everything is kept.
        on_edit_step: called with (done, total) denoising steps.

    Raises:
        ValueError: no view shows the object, or nothing of it can fill the hole that it leaves.
    """
    text = None
    if tools.encoder is not None:
        text = ObjectStyler(edit, capture.cameras, tools.encoder, task.instruction, styler, task.seed)
    subject = GaussianSubject(edit, capture, MODES[task.mode], config.losses, text)
    views = subject.views()
    if subject.mode.removes:
        subject.remove(views.original_masks)
    return EditRounds(subject, views, tools, task, config, folder, on_edit_step)
