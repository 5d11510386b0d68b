"""nerfstudio's thread that renders for a tab forgets requests that come while it takes the one before: the picture then
stays as it was until the view moves. And who asks meanwhile may get an AttributeError. Both are mended here.
"""

from __future__ import annotations

import threading

import nerfstudio.viewer.viewer as host
from nerfstudio.viewer.render_state_machine import RenderAction, RenderStateMachine


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


def use_orderly_renderers() -> None:
    """Let tabs that open from now on have one."""
    host.RenderStateMachine = OrderlyRenderer
