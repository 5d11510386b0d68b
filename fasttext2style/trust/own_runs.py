"""Which runs this user has written on this machine: those of others may name code, and it is not run unsaid.

A file in the user's folder of states holds the sha256 of each config.yml and recipe.yaml that was written: a run that
was copied, moved or renamed is known again, one that was changed by a single character is not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from platformdirs import user_state_path

from fasttext2style.trust.documents import LARGEST_YAML
from fasttext2style.trust.sizes import is_endless

_LONGEST = 64 << 20
"""Bytes that are looked at: a million runs."""


def note_written(path: Path) -> None:
    """Remember that this user wrote this file. Where that cannot be kept, the run will be asked about as another's."""
    known = _known_path()
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        with open(known, "a", encoding="ascii") as stream:
            stream.write(f"\n{_digest(path)}\n")  # a full disk may have cut the line before it
    except OSError:
        return


def is_own(path: Path) -> bool:
    """Whether this user wrote this very file, here."""
    if is_endless(path):
        return False
    try:
        with open(_known_path(), encoding="ascii", errors="replace") as stream:
            return _digest(path) in stream.read(_LONGEST).split()
    except OSError:
        return False


def _known_path() -> Path:
    return user_state_path("fasttext2style", appauthor=False) / "written_configs"


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read(LARGEST_YAML + 1)).hexdigest()  # longer ones are not read at all
