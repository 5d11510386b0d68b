"""How somebody left a session: sentence, quality, camera, bookmarks, names of objects; a file in the folder of the run.

Nothing of it says how the scene looks: that is for the history.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.trust.documents import TEXT, Check, check_fields, is_mapping, is_number, is_text, read_document
from fasttext2style.trust.text import one_line

NAME = "desk.json"
FORMAT = "fasttext2style-desk-1"
LONGEST_NAME = 80
_log = logging.getLogger(__name__)


def is_camera(value: Any) -> bool:
    """Position, what is looked at, and up: three numbers each, in the scene's coordinates."""
    return (
        is_mapping(value)
        and value.keys() == {"position", "look_at", "up"}
        and all(isinstance(it, list) and len(it) == 3 and all(map(is_number, it)) for it in value.values())
        and value["position"] != value["look_at"]
        and any(value["up"])
    )


def _texts(value: Any) -> bool:
    return is_mapping(value) and all(is_text(it) for it in value.values())


def _cameras(value: Any) -> bool:
    return is_mapping(value) and all(is_camera(it) for it in value.values())


_FIELDS: dict[str, tuple[str, Check]] = {
    "format": (FORMAT, lambda value: value == FORMAT),
    "asked": TEXT,
    "fields": ("a mapping of fields of the panel to text", _texts),
    "camera": ("a camera: position, look_at and up", is_camera),
    "bookmarks": ("a mapping of numbers to cameras", _cameras),
    "names": ("a mapping of objects to text", _texts),
}


_TEXTS = ("fields", "names")


class Desk:
    """Kept in memory, and written to its file when `write` is called after a change.

    Args:
        folder: of the run. A damaged file in it is put aside, which the log says.
        earlier: of the run that this one goes on from, if it is new; nothing in it is touched.
    """

    def __init__(self, folder: Path, earlier: Path | None = None) -> None:
        self.path = folder / NAME
        self._lock, self._was_there = threading.RLock(), folder.is_dir()
        self._content: dict[str, Any] = {}
        if self.path.exists():
            self._content = self._read_own()
        self._written = self._content
        if not self.path.exists() and earlier is not None and (earlier / NAME).exists():
            self._content = self._read_earlier(earlier / NAME)

    # --- fields of the panel ----------------------------------------------------------------------------------------

    def fields(self, asked: str) -> Mapping[str, str]:
        """What stood in the panel's fields; without the sentence if the command line asks for another one than then."""
        fields = self._content.get("fields", {})
        if self._content.get("asked", asked) != asked:
            fields = {name: value for name, value in fields.items() if name != "sentence"}
        self._set("asked", asked)
        return fields

    def noted(self, field: str) -> str:
        """What stood in a field of the panel, whatever the command line asks for; empty if nothing did."""
        return self._content.get("fields", {}).get(field, "")

    def note(self, **fields: str) -> None:
        """This stands in fields of the panel now."""
        self._add("fields", fields)

    # --- cameras ----------------------------------------------------------------------------------------------------

    @property
    def camera(self) -> dict[str, list[float]] | None:
        """Where one looked from last."""
        return self._content.get("camera")

    @camera.setter
    def camera(self, camera: dict[str, list[float]]) -> None:
        if is_camera(camera):
            self._set("camera", camera)

    def bookmark(self, number: str) -> dict[str, list[float]] | None:
        """A camera that was kept."""
        return self._content.get("bookmarks", {}).get(number)

    def keep_bookmark(self, number: str, camera: dict[str, list[float]]) -> None:
        """Keep a camera."""
        self._add("bookmarks", {number: camera})

    # --- objects ----------------------------------------------------------------------------------------------------

    def name_of(self, object_id: int) -> str:
        """What somebody called an object; empty if nobody did."""
        return self._content.get("names", {}).get(str(object_id), "")

    def rename(self, object_id: int, name: str) -> None:
        """Call it so from now on; an empty name gives it its first one back."""
        self._add("names", {str(object_id): name.strip()[:LONGEST_NAME]})

    # --- the file ---------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write what has changed, if anything has.

        Raises:
            ValueError: it cannot be written; it is not tried again before the next change.
        """
        with self._lock:
            content = self._content
            if content is self._written:
                return
            self._written = content
            try:
                # A run that was renamed is not begun anew under its old name.
                if self._was_there and not self.path.parent.is_dir():
                    raise FileNotFoundError("its folder is gone")
                with atomic_write(self.path) as stream:
                    stream.write((json.dumps(content | {"format": FORMAT}, indent=1) + "\n").encode())
            except OSError as error:
                raise ValueError(
                    f"{self.path} could not be written ({error}): sentence, camera and names will not come back"
                ) from error

    def _read_own(self) -> dict[str, Any]:
        try:
            return read_desk(self.path)
        except ValueError as error:
            aside = self.path.with_suffix(".damaged.json")
            _log.warning("%s is damaged (%s): it is kept as %s and begun anew", self.path, error, aside.name)
            try:
                self.path.replace(aside)
            except OSError as failed:
                _log.warning("It cannot be kept: %s", failed)
            return {}

    def _read_earlier(self, path: Path) -> dict[str, Any]:
        try:
            return read_desk(path)
        except ValueError as error:
            _log.warning("%s is damaged (%s): this session begins anew", path, error)
            return {}

    def _set(self, field: str, value: Any) -> None:
        with self._lock:
            if self._content.get(field) != value:
                self._content = self._content | {field: value}

    def _add(self, field: str, values: Mapping[str, Any]) -> None:
        with self._lock:
            self._set(field, self._content.get(field, {}) | values)


def read_desk(path: Path) -> dict[str, Any]:
    """What a file says.

    Raises:
        ValueError: it is damaged.
    """
    content = read_document(path)
    check_fields(content, _FIELDS, complete=False)
    # Shown as it is, in fields of the panel.
    content |= {name: {it: one_line(text) for it, text in content[name].items()} for name in _TEXTS if name in content}
    return {name: content[name] for name in content if name in _FIELDS and name != "format"}
