"""Files that are either the old one or the new one, never half of one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_write(path: Path | str) -> Iterator[IO[bytes]]:
    """Open `path` for binary writing; the file appears, or replaces the old one, only when the block ends well.

    The bytes go to a hidden file in the same folder first (a rename across file systems would be a copy). On any
    error, a full disk among them, that file is removed and an existing `path` stays as it was. Missing folders are
    made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # open() and not tempfile: the latter makes files that only their owner may read.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
