"""What several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from fasttext2style.terminal.console import errors_in_words

__all__ = ["RunPath", "errors_in_words"]

RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
