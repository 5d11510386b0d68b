"""A run as one file."""

from __future__ import annotations

import tarfile
from pathlib import Path

from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.terminal.console import say


def pack(run: Path, output: Path) -> int:
    """Write a run's folder as an uncompressed .tar (pictures are compressed already), atomically; returns its bytes.

    Raises:
        ValueError: the .tar would lie inside the folder that it packs, a link in it points at nothing, or the disk is
            full.
    """
    output = output.expanduser().absolute()
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
        with atomic_write(output) as stream, tarfile.open(fileobj=stream, mode="w", dereference=True) as tar:
            tar.add(run, arcname=name, filter=_without_locks)
    except OSError as error:
        raise ValueError(f"{run} could not be packed into {output} ({error}); what was there is untouched.") from error
    return output.stat().st_size


def _without_locks(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Who was writing to a run, and what was half written, is not part of it."""
    name = Path(entry.name).name
    return None if name.startswith(".lock") or (name.startswith(".") and name.endswith(".tmp")) else entry
