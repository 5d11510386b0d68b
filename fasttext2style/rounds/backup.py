"""A run as one file."""

from __future__ import annotations

import tarfile
from pathlib import Path

from fasttext2style.scene.files.atomic import atomic_write


def pack(run: Path, output: Path) -> int:
    """Write a run's folder as an uncompressed .tar (pictures are compressed already), atomically; returns its bytes.

    Raises:
        ValueError: the .tar would lie inside the folder that it packs.
    """
    output = output.expanduser().absolute()
    if output.is_relative_to(run):
        raise ValueError(f"{output} lies inside the run that it is to hold; write it elsewhere.")
    with atomic_write(output) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(run, arcname=run.name)
    return output.stat().st_size
