"""What is done on the page that viser 0.2.7 knows nothing of: keys, drawing over the scene, a divider that is dragged.

viser reads markdown as MDX, so a markdown element can run a script; ours (`page.js`, its looks `page.css`) is put there
as it is, and what it has to say comes back through a text field. No file of viser is changed, and none of its code
replaced.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import viser

CHANNEL = "page"
"""Label of the text field; page.js hides it."""
Message = dict[str, Any]
"""Of page.js: "kind" says what it is about."""


def page_script() -> str:
    """page.js with page.css in it."""
    script, looks = (Path(__file__).with_name(name).read_text(encoding="ascii") for name in ("page.js", "page.css"))
    return script.replace("LOOKS", json.dumps(looks))


class Page:
    """The script in every tab.

    Args:
        server: whose page it is.
        order: above which elements it stands; nothing of it is seen.
    """

    def __init__(self, server: viser.ViserServer, order: float) -> None:
        script = base64.b64encode(page_script().encode("ascii")).decode()
        # Base64, for MDX would read braces and angles.
        server.gui.add_markdown(f'{{(() => {{ new Function(atob("{script}"))(); }})()}}', order=order)
        self._channel = server.gui.add_text(CHANNEL, "", order=order)
        self._state = server.gui.add_markdown("", order=order)
        self._shown: dict[str, Any] = {"hints": {}}

    def on_message(self, callback: Callable[[viser.ClientHandle, Message], None]) -> None:
        """Call with the tab and what its script says."""

        def heard(event: viser.GuiEvent) -> None:
            if event.client is None:  # we ourselves
                return
            message = json.loads(event.target.value)
            if isinstance(message, dict):
                callback(event.client, message)

        self._channel.on_update(heard)

    def show_hints(self, **hints: str) -> None:
        """What stands beside buttons, by their labels, when the mouse rests there; viser 0.2.7 forgets theirs."""
        self.show(hints=self._shown["hints"] | hints)

    def show(self, **state: Any) -> None:
        """Tell every tab, also later ones: tool, size, look, where the picture is split (None: nowhere), and hints."""
        if state.items() <= self._shown.items():
            return
        self._shown |= state
        told = base64.b64encode(json.dumps(self._shown).encode()).decode()
        # It may come before the script itself.
        run = f'window.ft2sState = JSON.parse(atob("{told}")); window.ft2s?.set(window.ft2sState);'
        self._state.content = f"{{(() => {{ {run} }})()}}"
