"""ft2s envmap edit: a panorama changed by a sentence, in a file or around a scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fasttext2style.commands.history import change_run
from fasttext2style.envmaps.edit_settings import EditSettings, ViewEditSettings
from fasttext2style.terminal.console import say

if TYPE_CHECKING:
    from fasttext2style.envmaps.editing import Begin
    from fasttext2style.history.history import History
    from fasttext2style.history.state import SceneState
    from fasttext2style.plugin.runs.run import Run

Source = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE|RUN")]


@dataclass
class Edit:
    """Change a panorama by a sentence: its light and colours are optimised until views of it fit the sentence (CLIP),
    or an image editor follows an instruction. Details stay, and so does the energy of suns and lamps. Of a file another
    one is written; around the scene of a run it is a step that `ft2s history` takes back."""

    source: Source
    """A panorama (.hdr, .exr, .png, .jpg), or the folder of a run that has one around its scene."""
    prompt: str
    """What it becomes, such as "a snowy night"."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Of a file: the edited panorama, .hdr or .exr to keep its range; NAME_edited.hdr by default. Beside it lies a
    picture of the way there."""
    strength: float = 1.0
    """How much of the finished edit there is: 0 is the panorama as it was."""
    by: Literal["encoder", "editor"] = "encoder"
    """Who changes it. encoder: light and colours, smoothly, until views fit the sentence; editor: an image editor, in
    views that overlap, with new content, too."""
    encoder: str = "auto"
    """auto: CLIP if its weights are on this machine, else panorama if its packages are installed, else tiny. Any
    open_clip model name; "panorama": places, weather and times of day, by packages that are an extra; "tiny": the
    embedded encoder, which knows about 120 words; or one of your own as module:attribute."""
    encoder_weights: str = ""
    """open_clip tag or local file of the encoder's weights; empty takes the model's default ones."""
    repair: bool = False
    """Of a file: take negative radiance and what is no number for 0, infinite radiance for 65504."""
    editor: str = "timbrooks/instruct-pix2pix"
    """Of --by editor: a hub id, a folder in diffusers' format, "tiny" (embedded, knows a few colours), or one of your
    own as module:attribute."""
    editor_settings: dict[str, str] = field(default_factory=dict)
    """Further settings of the editor, as names and values: dtype bf16."""
    views: ViewEditSettings = field(default_factory=ViewEditSettings)
    settings: EditSettings = field(default_factory=EditSettings)

    def run(self) -> None:
        try:
            self._edit()
        except KeyboardInterrupt:
            say("\nStopped: nothing was changed.")
            raise SystemExit(130) from None

    def _edit(self) -> None:
        # What reads little comes first: weights may have to be downloaded.
        from fasttext2style.envmaps.editing import check_output, check_strength, edit_file
        from fasttext2style.envmaps.formats import read_head
        from fasttext2style.history.steps import run_folder

        is_run = self.source.is_dir() or self.source.name == "config.yml"
        output = self.output or Path(f"{self.source.stem}_edited.hdr")
        check_strength(self.strength)
        self.settings.check()
        if is_run:
            run_folder(self.source)
            if self.output is not None:
                raise ValueError("Around the scene of a run the edit is a step of its history: leave --output out")
        else:
            read_head(self.source)
            check_output(output)
        begin, rows = self._by_editor() if self.by == "editor" else self._by_encoder()
        if is_run:
            self._edit_run(begin)
        else:
            edit_file(self.source, output, begin, rows, self.strength, self.repair)

    def _by_encoder(self) -> tuple[Begin, int]:
        """What begins an edit, and how many rows it works on."""
        from fasttext2style.envmaps.inversion import PanoramaEdit, check_words, working_rows
        from fasttext2style.guidance.load import AUTO, chosen_encoder, load_encoder
        from fasttext2style.guidance.text_loss import load_text_losses
        from fasttext2style.terminal.console import say

        load_text_losses(self.settings.loss)
        name, weights = self.encoder, self.encoder_weights or None
        if name == AUTO:
            name, why = chosen_encoder(weights, of_panoramas=True)
            say(why)
        encoder = load_encoder(name, weights)
        check_words(encoder, self.prompt, self.settings)
        begin = partial(PanoramaEdit, prompt=self.prompt, encoder=encoder, settings=self.settings)
        return begin, working_rows(encoder)

    def _by_editor(self) -> tuple[Begin, int]:
        import torch

        from fasttext2style.editors.load import load_editor
        from fasttext2style.editors.settings import values_of
        from fasttext2style.envmaps.by_editor import ViewEdit, check_instruction, working_rows

        check_instruction(self.prompt, self.views)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        editor = load_editor(self.editor, device, **values_of(self.editor_settings))
        begin = partial(ViewEdit, prompt=self.prompt, editor=editor, settings=self.views, seed=self.settings.seed)
        return begin, working_rows(editor)

    def _edit_run(self, begin: Begin) -> None:
        from fasttext2style.envmaps.editing import edit_surroundings

        def edit(run: Run, history: History, state: SceneState) -> SceneState:
            edit_surroundings(history, run.model.background_color, begin, self.strength)
            return state

        change_run(self.source, edit)
