"""What several commands have in common."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import tyro

RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def errors_in_words() -> AbstractContextManager[None]:
    """See `plugin.host.console.errors_in_words`; imported when a command runs, for with it comes nerfstudio."""
    from fasttext2style.plugin.host import console

    return console.errors_in_words()
