"""Paths as people type them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: Path | str) -> Path:
    """With the home folder in place of ~, as a shell has it: ~nobody-here stays, and is missed where it is looked for.

    `Path.expanduser` raises RuntimeError there.
    """
    return Path(os.path.expanduser(path))
