"""How the panel's elements are made: what a callback raises is shown in the panel, not lost on stderr."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import viser

from fasttext2style.live.session import Job, LiveSession

_log = logging.getLogger(__name__)


class Elements:
    """Makes elements whose callbacks only submit jobs: they run in viser's threads and must neither wait nor touch the
    scene."""

    def __init__(self, gui: viser.GuiApi, session: LiveSession) -> None:
        self.gui, self.session = gui, session
        self.hints: dict[str, str] = {}
        """Of buttons, by their labels: viser 0.2.7 takes them and does not show them."""

    def safe(self, callback: Callable[..., object]) -> Callable[..., None]:
        """The same, with errors shown to whoever pressed."""

        def safe(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                if not isinstance(error, ValueError):
                    _log.error("The panel failed", exc_info=error)
                self.session.say(str(error), failed=True)

        return safe

    def guarded(self, callback: Callable[[], object]) -> Callable[[viser.GuiEvent], None]:
        """For `on_click` and `on_update`."""
        safe = self.safe(callback)
        return lambda _: safe()

    def button(self, label: str, callback: Callable[[], object], **look: Any) -> viser.GuiButtonHandle:
        return self.button_of_tab(label, lambda tab: callback(), **look)

    def button_of_tab(
        self, label: str, callback: Callable[[viser.ClientHandle | None], object], **look: Any
    ) -> viser.GuiButtonHandle:
        """Its callback is told which tab it was pressed in."""
        self.hints |= {label: look["hint"]} if look.get("hint") else {}
        button, safe = self.gui.add_button(label, **look), self.safe(callback)
        button.on_click(lambda event: safe(event.client))
        return button

    def buttons(
        self, label: str, choices: dict[str, Callable[[], Job]], hint: str, order: float | None = None
    ) -> viser.GuiButtonGroupHandle:
        """A row of buttons, each of which submits a job."""
        group = self.gui.add_button_group(label, tuple(choices), hint=hint, order=order)
        # Else viser 0.2.7 passes over a button that is pressed twice, and over the first one.
        group._impl.is_button = True
        group.on_click(self.guarded(lambda: self.session.submit(choices[group.value]())))
        return group

    def on_change(self, element: viser.GuiInputHandle, callback: Callable[[], object]) -> None:
        """Call when somebody changes it, but not when we set it."""
        safe, state = self.safe(callback), element._impl
        tell_others = state.sync_cb
        assert tell_others is not None, "all tabs share it"

        # After the other tabs are told: viser 0.2.7 keeps the last message of an element alone, and that one leaves out
        # the tab in which it was changed. What the callback sets before it never arrives there.
        def changed(tab: Any, updates: dict[str, Any]) -> None:
            tell_others(tab, updates)
            safe()

        state.sync_cb = changed
