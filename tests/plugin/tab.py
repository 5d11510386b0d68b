"""A tab of the viewer without a browser: it says over viser's websocket what a page says when one clicks and types."""

from __future__ import annotations

import base64
import html
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import viser
from viser._messages import FileTransferPart, FileTransferStart, GuiUpdateMessage, Message, ViewerCameraMessage
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ASPECT = 1.5
"""Width by height of what the tab shows of the scene."""


class Tab:
    """Knows what the page shows by what it is told: elements by their labels, and their present values."""

    def __init__(self, server: viser.ViserServer) -> None:
        self.elements: dict[str, dict[str, Any]] = {}
        """Label -> all that the page knows of this element; of elements with one label, the last one."""
        self.texts: dict[str, str] = {}
        """Id -> markdown."""
        self.nodes: dict[str, dict[str, Any]] = {}
        """Name -> what stands in the scene under it."""
        self.downloads: dict[str, bytes] = {}
        """Name -> content of what the page was given to keep, as far as it has come."""
        self._by_id: dict[str, dict[str, Any]] = {}
        self._server, self._said = server, 0
        self._heard, self._heard_to_the_end = 0, 0
        self._count_messages(server)
        self._socket = connect(f"ws://127.0.0.1:{server.get_port()}", max_size=None, compression=None)
        threading.Thread(target=self._listen, daemon=True).start()
        self._show_from((0.0, 0.0, -10.0))
        self.until(lambda: bool(server.get_clients()), "to be connected")

    def close(self) -> None:
        self._socket.close()

    # --- what one does ------------------------------------------------------------------------------------------------

    def set(self, label: str, value: Any, stays: bool = True) -> None:
        """Choose, type, tick or drag; returns when the server did what it does then, at once if it will not stay."""
        element = self.elements[label]
        self._send(GuiUpdateMessage(element["id"], {"value": value}))
        handle = self._server.gui._gui_input_handle_from_id[element["id"]]
        if stays:
            self.until(lambda: handle.value == value, f"{label} to be {value!r}")
            self.let_callbacks_end()

    def press(self, label: str) -> None:
        """Press a button."""
        self._send(GuiUpdateMessage(self.elements[label]["id"], {"value": True}))

    def press_one_of(self, group: str, label: str) -> None:
        """Press a button of a row."""
        assert label in self.elements[group]["options"]
        self._send(GuiUpdateMessage(self.elements[group]["id"], {"value": label}))

    def upload(self, label: str, name: str, content: bytes) -> None:
        """Choose a file for a button that takes one."""
        about = {"source_component_id": self.elements[label]["id"], "transfer_uuid": f"{label} {name}"}
        self._send(FileTransferStart(**about, filename=name, mime_type="", part_count=1, size_bytes=len(content)))
        self._send(FileTransferPart(**about, part=0, content=content))

    def click(self, x: float, y: float, combine: str = "") -> None:
        """Click into the scene, at shares of the width and height, with a key that stands for this held."""
        self.say(kind="click", drawing="click", combine=combine, points=[[x, y]])

    def say(self, **message: Any) -> None:
        """What the script on the page says; it counts, for viser passes over what is said twice."""
        self._said += 1
        value = json.dumps(message | {"number": self._said})
        self._send(GuiUpdateMessage(self.elements["page"]["id"], {"value": value}))

    def look_from(self, distance: float) -> None:
        """Go to so far from the middle of the world, on the negative z axis; returns when the server knows."""
        self._show_from((0.0, 0.0, -distance))
        (client,) = self._server.get_clients().values()
        self.until(lambda: tuple(client.camera.position) == (0.0, 0.0, -distance), "the camera to be there")

    # --- what one sees ------------------------------------------------------------------------------------------------

    def says(self, text: str) -> bool:
        return any(text in html.unescape(shown) for shown in self.texts.values())

    def told(self) -> dict[str, Any]:
        """What the script on the page was told last."""
        told = next(text for text in self.texts.values() if "ft2sState" in text)
        return json.loads(base64.b64decode(told.partition('atob("')[2].partition('"')[0]))

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            said = [text for text in self.texts.values() if len(text) < 1000]
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}: {said}"
            time.sleep(0.005)

    def let_callbacks_end(self) -> None:
        """Those of all that was said so far and has come."""
        self.until(lambda: self._heard_to_the_end == self._heard, "callbacks to end")

    def _count_messages(self, server: viser.ViserServer) -> None:
        """viser takes messages in a pool of threads: a value is set before its callbacks are called."""
        hears, lock = server._websock_server._handle_incoming_message, threading.Lock()

        def counted(*message: Any) -> None:
            with lock:
                self._heard += 1
            try:
                hears(*message)
            finally:
                with lock:
                    self._heard_to_the_end += 1

        server._websock_server._handle_incoming_message = counted

    def _show_from(self, position: tuple[float, float, float]) -> None:
        pose = {"wxyz": (1.0, 0.0, 0.0, 0.0), "position": position, "look_at": (0.0, 0.0, 0.0)}
        self._send(ViewerCameraMessage(**pose, fov=0.8, aspect=ASPECT, up_direction=(0.0, -1.0, 0.0)))

    def _send(self, message: Message) -> None:
        self._socket.send(msgspec.msgpack.encode(message.as_serializable_dict()))

    def _listen(self) -> None:
        try:
            for raw in self._socket:
                told = msgspec.msgpack.decode(raw)
                for message in told if isinstance(told, list) else [told]:
                    self._take(message)
        except ConnectionClosed:
            pass

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "GuiUpdateMessage":
            known, updates = self._by_id.get(message["id"]), message["updates"]
            if known is not None:
                known.update(updates)
            if "markdown" in updates:
                self.texts[message["id"]] = updates["markdown"]
        elif message["type"] == "GuiRemoveMessage":
            self._by_id.pop(message["id"], None)
            self.texts.pop(message["id"], None)
            self.elements = {label: it for label, it in self.elements.items() if it["id"] != message["id"]}
        elif message["type"] == "FileTransferStart":
            self._by_id[message["transfer_uuid"]] = message
            self.downloads[message["filename"]] = b""
        elif message["type"] == "FileTransferPart":
            self.downloads[self._by_id[message["transfer_uuid"]]["filename"]] += message["content"]
        elif "id" in message and "label" in message:
            self._by_id[message["id"]] = self.elements[message["label"]] = message
        elif message["type"] == "GuiAddMarkdownMessage":
            self._by_id[message["id"]] = message
            self.texts[message["id"]] = message["markdown"]
        elif message["type"] == "RemoveSceneNodeMessage":
            self.nodes.pop(message["name"], None)
        elif message["type"] == "SetPositionMessage" or "name" in message:
            self.nodes.setdefault(message["name"], {}).update(message)
