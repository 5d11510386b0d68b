"""Faults between the threads of nerfstudio's viewer and of viser 0.2.7, mended for every viewer that opens.

Its thread that renders for a tab forgets requests that come while it takes the one before: the picture then stays as it
was until the view moves. Who asks for a picture of a tab that is opening or closing gets a KeyError, which ends a
training. An error inside viser's `atomic()`, such as that one, leaves its lock taken, and two threads that leave and
enter it together can lock one of them out of itself: then nothing on the page moves any more.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import nerfstudio.viewer.viewer as host
from nerfstudio.viewer.render_state_machine import RenderAction, RenderStateMachine
from viser.infra._infra import WebsockMessageHandler


class OrderlyRenderer(RenderStateMachine):
    """Reads `next_action`, clears its trigger and sets None, as the host does; what came in between stays."""

    def __init__(self, *arguments, **options) -> None:
        self._asking, self._next, self._taken = threading.RLock(), None, None
        super().__init__(*arguments, **options)

    def action(self, action: RenderAction) -> None:
        with self._asking:
            if action.action == "static" and self._next is not None and self._next.action != "static":
                self.render_trigger.set()  # it asks itself for rest only because nothing seemed to wait
                return
            taken = self._taken
            super().action(action)
            self._taken = taken

    @property
    def next_action(self) -> RenderAction | None:
        with self._asking:
            self._taken = self._next
            return self._next

    @next_action.setter
    def next_action(self, action: RenderAction | None) -> None:
        with self._asking:
            if action is None and self._next is not self._taken:
                self.render_trigger.set()
            else:
                self._next = action


class Renderers(dict[int, Any]):
    """By the numbers of the tabs; for one that is opening or closing nobody renders."""

    def __missing__(self, number: int) -> Nobody:
        return Nobody()

    def pop(self, number: int, default: Any = None) -> Any:
        return super().pop(number, default)


class Nobody:
    """Takes what is asked of a renderer."""

    running = False

    def action(self, action: RenderAction) -> None:
        """Nobody sees it."""


@contextmanager
def _atomic(handler: WebsockMessageHandler) -> Generator[None, None, None]:
    """viser's `atomic`, whatever happens within, and with nothing between letting go and saying so."""
    this = threading.get_ident()
    if handler._locked_thread_id == this:
        yield
        return
    with handler._atomic_lock:
        handler._locked_thread_id = this
        try:
            yield
        finally:
            handler._locked_thread_id = -1


def mend_viewers() -> None:
    """Viewers, and tabs, that open from now on have none of this module's faults."""
    host.RenderStateMachine = OrderlyRenderer
    cast(Any, WebsockMessageHandler).atomic = _atomic
    # The host's constructor sets an empty dict.
    cast(Any, host.Viewer).render_statemachines = property(
        lambda viewer: viewer._renderers, lambda viewer, known: setattr(viewer, "_renderers", Renderers(known))
    )
