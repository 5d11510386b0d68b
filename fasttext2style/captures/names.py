"""Where the files are that a transforms.json names: other systems and other machines write names in other ways."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote

ENDINGS = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")
"""Of photographs whose names stand in transforms.json without one, as Blender and instant-ngp write them."""
PICTURES = frozenset((*(ending.lower() for ending in ENDINGS), ".webp", ".tif", ".tiff", ".bmp", ".avif", ".gif"))
"""Endings that a photograph may have got when it was converted."""
PHOTOGRAPHS = "images"
"""Folder in which nerfstudio's captures have them."""


class Finder:
    """Finds files by their names in one capture; folders are listed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.elsewhere: dict[str, Path] = {}
        """Name in transforms.json -> where its file was found, of those that are not where it says."""
        self._lists: dict[Path, dict[str, list[str]]] = {}

    def locate(self, name: str, is_photograph: bool = True) -> Path:
        """The file of this name; where there is none, what was most likely meant, or else the place where it is not.

        Names may lack their ending, Windows writes backslashes, there (and on a Mac) upper and lower case are one, and
        a Mac takes letters with accents apart. Captures are copied: of a path of another machine as much of its end is
        taken as is here, and photographs are also looked for where they usually lie. Pictures are converted: the only
        one of that name with another ending is taken.
        """
        slashed = name.removeprefix("file://").replace("\\", "/")
        for path in (self.folder / name, self.folder / slashed):
            found = path if path.is_file() else _with_ending(path)
            if found:
                return found
        found = self._alike(slashed)
        if found:
            return found
        parts = [part for part in Path(slashed).parts if part not in ("/", ".", "..")]
        ends = ["/".join(parts[start:]) for start in range(1, len(parts))]
        if is_photograph and parts:
            ends.append(f"{PHOTOGRAPHS}/{parts[-1]}")
        for end in ends if Path(unquote(slashed)) == Path(slashed) else [unquote(slashed), *ends]:
            found = self._alike(end)
            if found:
                break
        else:
            found = self._converted([slashed, *ends])
        if found:
            self.elsewhere[name] = found
        return found or self.folder / name

    def _alike(self, name: str) -> Path | None:
        """A file below the folder whose name differs in case, accents or a missing ending alone, if there is one."""
        path = self.folder
        for part in Path(name).parts:
            if part in (".", "..", "/"):
                path = path / part
                continue
            entries = self._listed(path).get(_plain(part), [])
            if part not in entries and len(entries) != 1:
                found = _with_ending(path / part)
                return found
            path = path / (part if part in entries else entries[0])
        return path if path.is_file() else None

    def _converted(self, names: list[str]) -> Path | None:
        for name in names:
            folder, stem = self.folder / Path(name).parent, _plain(Path(name).stem)
            found = [
                folder / entry
                for entries in self._listed(folder).values()
                for entry in entries
                if _plain(Path(entry).stem) == stem and Path(entry).suffix.lower() in PICTURES
            ]
            if len(found) == 1 and Path(name).suffix.lower() in PICTURES and found[0].is_file():
                return found[0]
        return None

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._lists:
            listed: dict[str, list[str]] = {}
            try:
                entries = os.listdir(folder)
            except OSError:
                entries = []
            for entry in entries:
                listed.setdefault(_plain(entry), []).append(entry)
            self._lists[folder] = listed
        return self._lists[folder]


def is_name(value: object) -> bool:
    """Whether a file could have this name: asking for one with zeros, halves of characters, or too long raises."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    try:
        encoded = os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return len(encoded) <= 2000 and max(map(len, encoded.split(b"/"))) <= 255


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _with_ending(path: Path) -> Path | None:
    found = [path.with_name(path.name + ending) for ending in ENDINGS if path.name]
    return next((candidate for candidate in found if candidate.is_file()), None)
