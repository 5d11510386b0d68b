"""What several commands have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import tyro

RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


@contextmanager
def errors_in_words() -> Iterator[None]:
    """See `plugin.host.console.errors_in_words`, which is imported once there is an error: with it comes nerfstudio."""
    try:
        yield
    except (ValueError, OSError):
        from fasttext2style.plugin.host import console

        with console.errors_in_words():
            raise
