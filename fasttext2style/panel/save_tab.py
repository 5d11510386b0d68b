"""The tab in which the result is kept: checkpoints, and files for other programs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast, get_args

import viser

from fasttext2style.live import jobs
from fasttext2style.live.film import Film
from fasttext2style.live.texts import save_text
from fasttext2style.panel.elements import Elements
from fasttext2style.scene.files.export import WRITERS, What

_LARGEST_DOWNLOAD = 2**28
"""Bytes: the page holds all of them in memory."""


class SaveTab:
    """Its elements, and what they ask for."""

    def __init__(self, elements: Elements) -> None:
        gui, self.elements, self.session = elements.gui, elements, elements.session
        self._tell: Callable[[What], str] = lambda what: ""
        elements.button(
            "Save session",
            lambda: self.session.submit(jobs.Save()),
            icon=viser.Icon.DEVICE_FLOPPY,
            color="green",
            hint="The whole session with all that can be undone, for ns-viewer, ns-render, ns-export and for later.",
        )
        self.what = gui.add_dropdown(
            "Export", get_args(What), initial_value="scene", hint="rest: everything but the selection."
        )
        self.what.on_update(elements.guarded(self._describe))
        self.format = gui.add_dropdown(
            "Format", tuple(WRITERS), initial_value="ply", hint="ply keeps everything; spz and splat are small."
        )
        self.name = gui.add_text("File", "", hint="Its name, without ending. Empty: that of what is exported. Nothing "
                                 "is written over: a second file of a name gets a number.")  # fmt: skip
        elements.button_of_tab("Write file", self._export, icon=viser.Icon.PACKAGE_EXPORT)
        self._about = gui.add_markdown("")  # below the button, which stays where it is whatever is said
        elements.button_of_tab(
            "Write video",
            lambda tab: self.session.submit(Film(self.name.value, partial(_downloaded, tab))),
            icon=viser.Icon.MOVIE,
            hint="An .mp4 once around the selected object; if nothing is selected, around what was edited last.",
        )
        with gui.add_folder("Details", expand_by_default=False):
            gui.add_markdown(save_text(self.session.scene.folder))

    def show(self, tell: Callable[[What], str]) -> None:
        """Say what a file would hold; `tell` does, of each choice."""
        self._tell = tell
        self._describe()

    def _describe(self) -> None:
        self._about.content = self._tell(cast(What, self.what.value))

    def _export(self, tab: viser.ClientHandle | None) -> None:
        what = cast(What, self.what.value)
        self.session.submit(jobs.Export(what, self.format.value, self.name.value, partial(_downloaded, tab)))


def _downloaded(tab: viser.ClientHandle | None, path: Path) -> str:
    """Give a file to the tab that asked for it, and say where it is."""
    if path.stat().st_size > _LARGEST_DOWNLOAD:
        return f"{path} (too large for the page to download it)"
    if tab is None:
        return str(path)
    try:
        tab.send_file_download(path.name, path.read_bytes())
    except KeyError:  # of viser, for a tab that was closed meanwhile
        return str(path)
    return f"{path.name}, in the downloads of this browser, and in the run (see Details)."
