"""What all rounds ask of their command line, whatever they edit: an editor, a mode, a schedule."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from fasttext2style.editors.editor import ImageEditor
from fasttext2style.editors.load import editor_is_here, load_editor
from fasttext2style.editors.settings import values_of
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.losses import PerceptualLoss, load_perceptual_loss
from fasttext2style.rounds.modes import ModeName
from fasttext2style.rounds.workers import Workers, hire_editors
from fasttext2style.terminal.console import warn
from fasttext2style.trust.typed import OrPath
from fasttext2style.workers.choice import read_workers

EDITOR = OrPath(("tiny",), "editor")
"""What the name of an editor is, besides those of `load_editor`: a folder."""


@dataclass
class EditingConfig:
    """Settings of rounds of edits."""

    editor: Annotated[str, EDITOR, tyro.conf.arg(aliases=["--editor"])] = "timbrooks/instruct-pix2pix"
    """What edits the pictures: a hub id or a local folder in diffusers' format, "tiny" (embedded, needs no download,
    knows a few colours and materials), or module:attribute of your own."""
    editor_settings: Annotated[dict[str, str], OrPath()] = field(default_factory=dict)
    """Further settings of the editor, as names and values: batch_size 4 dtype fp16 offload True."""
    editor_lora: Annotated[Path | None, tyro.conf.arg(aliases=["--editor-lora"])] = None
    """A LoRA that the editor is loaded with, such as `ft2s editor train` writes; its hash stands in each manifest."""
    workers: Annotated[str, tyro.conf.arg(aliases=["--workers"])] = "1"
    """Who edits the pictures: 1, this process; 8, so many processes of Ray on this machine, each on a GPU of its own
    where there are GPUs; ray://HEAD:10001, all GPUs of a Ray cluster. More than 1 needs fasttext2style[workers]."""
    mode: Annotated[ModeName, tyro.conf.arg(aliases=["--mode"])] = "restyle"
    """restyle: colours, and form a little. replace: everything, and Gaussians grow inside the object. remove: the
    object fades, and what is behind it is filled; give an inpainting editor."""
    rounds: RoundsConfig = field(default_factory=RoundsConfig)
    """Schedule, edit, losses, and what is kept."""

    def check_editing(self) -> None:
        """Raises ValueError for settings that cannot be; nothing is loaded."""
        self.rounds.check(self.mode)
        read_workers(self.workers)
        if self.editor_lora is not None:
            if "lora" in self.editor_settings:
                raise ValueError(
                    "A LoRA is named twice, by --editor-lora and by editor-settings lora; take one of them."
                )
            if not self.editor_lora.exists():
                raise ValueError(f"--editor-lora {self.editor_lora} is not there; ft2s editor train writes one.")

    def load_editing(self, device: str) -> tuple[ImageEditor | Workers, PerceptualLoss | None]:
        """The editor or the workers that have it, and what compares pictures in the loss; raises ValueError for what
        cannot be had."""
        settings = values_of(self.editor_settings)
        if self.editor_lora is not None:
            settings["lora"] = (str(self.editor_lora),)
        editor = self._load_editor(device, settings)
        perceptual, warning = load_perceptual_loss(self.rounds.losses, device, self.rounds.schedule.patch)
        if warning:
            warn(warning)
        return editor, perceptual

    def _load_editor(self, device: str, settings: dict[str, Any]) -> ImageEditor | Workers:
        choice = read_workers(self.workers)
        if choice.in_process:
            return load_editor(self.editor, device, **settings)
        editor_is_here(self.editor)  # what cannot be is refused before Ray is started
        return hire_editors(choice, partial(load_editor, self.editor, **settings), device, self.editor)
