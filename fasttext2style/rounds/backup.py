"""A run as one file."""

from __future__ import annotations

import os
import tarfile
from contextlib import nullcontext
from pathlib import Path

from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.terminal.console import say
from fasttext2style.trust.lock import WriteLock
from fasttext2style.trust.typed import expanded


def pack(run: Path, output: Path) -> int:
    """Write a run's folder as an uncompressed .tar (pictures are compressed already), atomically; returns its bytes.

    Raises:
        ValueError: the .tar would lie inside the folder that it packs, a link in it points at nothing, the disk is
            full, or another program is writing to the run.
    """
    output = expanded(output).absolute()
    links = {path: path.resolve() for path in run.rglob("*") if path.is_symlink()}
    if any(output.resolve().is_relative_to(folder) for folder in (run.resolve(), *links.values())):
        raise ValueError(f"{output} lies inside the run that it is to hold; write it elsewhere.")
    around = [path for path, folder in links.items() if run.resolve().is_relative_to(folder)]
    if around:
        raise ValueError(f"{around[0]} is a link to a folder that holds the run itself; remove it first.")
    for path, folder in links.items():
        say(f"Packed what a link points at: {path} -> {folder}")
    name = run.name or run.resolve().name
    try:
        # What links point at is what is to be kept: elsewhere they would point at nothing.
        # Of one moment: a history is read before its steps, of which a writer may remove some meanwhile.
        alone = WriteLock(run) if os.access(run, os.W_OK) else nullcontext()
        with alone, atomic_write(output) as stream, tarfile.open(fileobj=stream, mode="w", dereference=True) as tar:
            tar.add(run, arcname=name, filter=_without_locks)
    except OSError as error:
        raise ValueError(f"{run} could not be packed into {output} ({error}); what was there is untouched.") from error
    return output.stat().st_size


def _without_locks(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Who was writing to a run, and what was half written, is not part of it."""
    name = Path(entry.name).name
    return None if name.startswith(".lock") or (name.startswith(".") and name.endswith(".tmp")) else entry
