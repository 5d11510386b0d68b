"""What stays in sight wherever one scrolls: what is being done and how far it is; undo, redo, compare, pause, stop.

Nothing in it comes or goes, so that no button moves from under the mouse: what cannot be pressed now is greyed, and
what Undo and Redo would do stands beside them when the mouse rests there.
"""

from __future__ import annotations

from collections.abc import Callable

from fasttext2style.live import jobs
from fasttext2style.live.session import Status
from fasttext2style.live.texts import status_text
from fasttext2style.panel.elements import Elements
from fasttext2style.panel.page import Page

_SAID = '<span className="ft2s-said"></span>'
"""By which page.js finds all this, to keep it in sight and in a row."""


class TopBar:
    """Its elements, and what they ask for.

    Args:
        elements: makes them.
        page: shows what Undo and Redo would do.
        on_compare: called when somebody wants to see before and after beside each other, or no longer.
        button: the one that starts an edit, for who does not know how to begin.
        order: where it stands among all that the viewer shows.
    """

    def __init__(
        self, elements: Elements, page: Page, on_compare: Callable[[], object], button: str, order: float
    ) -> None:
        gui, session = elements.gui, elements.session
        self._button, self._scene, self._page = button, session.scene, page
        with gui.add_folder("", order=order):
            self._said = gui.add_markdown("")
            self._progress = gui.add_progress_bar(0.0)
            self._undo, self._redo, _ = (
                elements.button(label, callback, color="gray")
                for label, callback in (
                    ("Undo", lambda: session.submit(jobs.Undo())),
                    ("Redo", lambda: session.submit(jobs.Redo())),
                    ("Compare", on_compare),
                )
            )
            self._pause = elements.button("Pause", session.pause, disabled=True, color="gray")
            self._resume = elements.button("Resume", session.resume, visible=False)
            self._stop = elements.button("Stop", session.stop, disabled=True, color="red")

    def show(self, status: Status) -> None:
        """Say what the session does."""
        steps = status.steps
        self._said.content = f"{_SAID}{status_text(status, self._button)}"
        self._progress.value = 100 * steps.done / steps.total if steps.total else 0.0
        self._grey_moves()
        self._stop.disabled = not status.job
        self._pause.disabled = steps.total == 0
        self._pause.visible, self._resume.visible = not status.paused, status.paused

    def show_moves(self) -> None:
        """Say what Undo and Redo would do.

        Raises:
            ValueError: the history cannot be read.
        """
        self._grey_moves()
        back, again = jobs.next_moves(self._scene)
        self._page.show_hints(Undo=back and f"Take back: {back} (Ctrl Z)", Redo=again and f"Again: {again} (Ctrl Y)")

    def _grey_moves(self) -> None:
        # A slider on its way is not yet in the history, and can be taken back.
        self._undo.disabled = not (self._scene.history.can_undo or self._scene.unsettled)
        self._redo.disabled = not self._scene.history.can_redo
