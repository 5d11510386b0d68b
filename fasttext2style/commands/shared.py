"""What several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
