"""What files are, where their names do not say it: by their first bytes; and names in the order of their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


def read_start(path: Path) -> bytes:
    """The first bytes of a file; none if it cannot be opened, or would never end."""
    if not path.is_file():
        return b""
    try:
        with open(path, "rb") as stream:
            return stream.read(64)
    except OSError:
        return b""


def not_what_it_is_called(start: bytes) -> str:
    """What a file is that begins like this, with what to do; "" for whatever may be what its name says."""
    if not start:
        return "an empty file: copy it again"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of git-lfs: `git lfs pull` brings the file"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a page of the web: download the file itself"
    return ""


def in_order(paths: Iterable[Path]) -> list[Path]:
    """By names, iteration_7000 before iteration_30000."""

    def texts_and_numbers(path: Path) -> list[str | int]:
        parts = re.split(r"([0-9]+)", str(path))
        return [int(part) if place % 2 else part for place, part in enumerate(parts)]

    return sorted(paths, key=texts_and_numbers)
