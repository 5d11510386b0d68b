"""The tab in which the result is kept: checkpoints, and files for other programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import viser

from fasttext2style.live import jobs
from fasttext2style.live.film import Film
from fasttext2style.live.texts import save_text
from fasttext2style.panel.elements import Elements
from fasttext2style.scene.files.export import WRITERS, What

_FILES: dict[What, str] = {
    "scene": "All of it, as it looks now.",
    "selection": "What is selected alone, as it looks now.",
    "rest": "All but what is selected.",
}
_LARGEST_DOWNLOAD = 2**28
"""Bytes: the page holds all of them in memory."""


class SaveTab:
    """Its elements, and what they ask for."""

    def __init__(self, elements: Elements) -> None:
        gui, self.session = elements.gui, elements.session
        elements.button(
            "Save session",
            lambda: self.session.submit(jobs.Save()),
            icon=viser.Icon.DEVICE_FLOPPY,
            color="green",
            hint="The whole session with all that can be undone, for ns-viewer, ns-render, ns-export and for later.",
        )
        self.format = gui.add_dropdown(
            "Format", tuple(WRITERS), initial_value="ply", hint="ply keeps everything; spz and splat are small."
        )
        self.name = gui.add_text("File", "", hint="Its name, without ending. Empty: that of what is exported. Nothing "
                                 "is written over: a second file of a name gets a number.")  # fmt: skip
        for what, hint in _FILES.items():
            elements.button_of_tab(
                f"Write {what}", partial(self._export, what), icon=viser.Icon.PACKAGE_EXPORT, hint=hint
            )
        elements.button_of_tab(
            "Write video",
            lambda tab: self.session.submit(Film(self.name.value, partial(_downloaded, tab))),
            icon=viser.Icon.MOVIE,
            hint="An .mp4 once around the selected object; if nothing is selected, around what was edited last.",
        )
        self._about = gui.add_markdown("")  # below the buttons, which stay where they are whatever is said
        with gui.add_folder("Details", expand_by_default=False):
            gui.add_markdown(save_text(self.session.scene.folder))

    def show(self, about: str) -> None:
        """Say what files would hold."""
        self._about.content = about

    def _export(self, what: What, tab: viser.ClientHandle | None) -> None:
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
