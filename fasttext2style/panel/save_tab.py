"""The tab in which the result is kept: checkpoints, and files for other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, get_args

import viser

from fasttext2style.live import jobs
from fasttext2style.live.film import Film
from fasttext2style.panel.elements import Elements
from fasttext2style.scene.files.export import WRITERS, What
from fasttext2style.trust.text import in_panel


class SaveTab:
    """Its elements, and what they ask for."""

    def __init__(self, elements: Elements) -> None:
        gui, self.elements, self.session = elements.gui, elements, elements.session
        self._tell: Callable[[What], str] = lambda what: ""
        elements.button(
            "Save",
            lambda: self.session.submit(jobs.Save()),
            icon=viser.Icon.DEVICE_FLOPPY,
            color="green",
            hint="The whole session with all that can be undone, for ns-viewer, ns-render, ns-export and for later.",
        )
        self.what = gui.add_dropdown(
            "Export", get_args(What), initial_value="scene", hint="rest: everything but the selection."
        )
        self.what.on_update(elements.guarded(self._describe))
        self._about = gui.add_markdown("")
        self.format = gui.add_dropdown(
            "Format", tuple(WRITERS), initial_value="ply", hint="ply keeps everything; spz and splat are small."
        )
        self.name = gui.add_text("File", "", hint="Its name, without ending. Empty: that of what is exported. Nothing "
                                 "is written over: a second file of a name gets a number.")  # fmt: skip
        elements.button("Write file", self._export, icon=viser.Icon.PACKAGE_EXPORT)
        elements.button(
            "Write video",
            lambda: self.session.submit(Film(self.name.value)),
            icon=viser.Icon.MOVIE,
            hint="An .mp4 once around the selected object; if nothing is selected, around what was edited last.",
        )
        gui.add_markdown(f"Files go to {in_panel(str(self.session.scene.folder / 'exports'))}.")

    def show(self, tell: Callable[[What], str]) -> None:
        """Say what a file would hold; `tell` does, of each choice."""
        self._tell = tell
        self._describe()

    def _describe(self) -> None:
        self._about.content = self._tell(cast(What, self.what.value))

    def _export(self) -> None:
        what = cast(What, self.what.value)
        self.session.submit(jobs.Export(what, self.format.value, self.name.value))
