"""Icons of a panel: viser 0.2.7 goes through an archive of 4,285 for each of them, three seconds for a session."""

from __future__ import annotations

import tarfile
from functools import lru_cache

import viser._gui_api
import viser._gui_handles
import viser._icons


def read_icons_at_once() -> None:
    """From now on the archive is read once in a process, and each icon is what viser finds there."""
    for module in (viser._gui_api, viser._gui_handles):
        vars(module)["svg_from_icon"] = icon


def icon(name: str) -> str:
    """Its <svg>, by the name that viser knows it by."""
    return _icons()[f"{name}.svg"]


@lru_cache(maxsize=1)
def _icons() -> dict[str, str]:
    with tarfile.open(viser._icons.ICONS_DIR / "tabler-icons.tar") as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read().decode() for name, file in files.items() if file is not None}
