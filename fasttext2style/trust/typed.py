"""Paths and numbers as people type them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

LARGEST_SEED = 2**63


@dataclass(frozen=True)
class OrPath:
    """Says of a setting, by Annotated, that its text is a file or folder if there is one of that name."""

    names: tuple[str, ...] = ()
    """They mean something else, also where there is a file of such a name."""
    kind: str = ""
    """Of `PlugIns`, whose installed names do so, too."""


def expanded(path: Path | str) -> Path:
    """With the home folder in place of ~, as a shell has it: ~nobody-here stays, and is missed where it is looked for.

    `Path.expanduser` raises RuntimeError there.
    """
    return Path(os.path.expanduser(path))


def check_seed(seed: int, option: str = "--seed", limit: int = LARGEST_SEED) -> None:
    """Raises ValueError for a number with which a generator cannot begin."""
    if not 0 <= seed < limit:
        raise ValueError(f"{option} is a whole number from 0 to 2^{limit.bit_length() - 1} - 1, got {seed}.")
