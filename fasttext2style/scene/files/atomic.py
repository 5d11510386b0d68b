"""Files that are either the old one or the new one, never half of one."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fasttext2style.trust.typed import expanded


@contextmanager
def atomic_write(path: Path | str) -> Iterator[IO[bytes]]:
    """Open `path` for binary writing; the file appears, or replaces the old one, only when the block ends well.

    The bytes go to a hidden file in the same folder first (a rename across file systems would be a copy). On any
    error, a full disk among them, that file is removed and an existing `path` stays as it was. Missing folders are
    made. What a writer of the same file left that was killed is removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_overs(path.parent, path.name)
    # open() and not tempfile: the latter makes files that only their owner may read.
    temporary = temporary_beside(path)
    try:
        with open(temporary, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # A write that fails does not say where, and the hidden name tells nobody anything.
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        # Where nothing can be written nothing can be removed: the error that led here says more than a second one.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_place(path: Path) -> Path:
    """Where a file is to be written, with ~ expanded: asked before the work that it is for. Nothing is left there.

    Raises:
        ValueError: it is a folder, or nothing can be written there.
    """
    path = expanded(path)
    try:
        if path.is_dir():
            raise ValueError(f"{path} is a folder: give the name of a file to write, such as {path / 'NAME'}.")
        try_folder(path.absolute().parent)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written ({error.strerror or error}): name a file in a folder that can be."
        ) from error
    return path


def check_folder(folder: Path, option: str = "--output") -> Path:
    """As `check_place`, of a folder for files, which may be there or not; `option` names it.

    Raises:
        ValueError: nothing can be written there.
    """
    folder = expanded(folder)
    try:
        try_folder(folder.absolute())
    except OSError as error:
        raise ValueError(
            f"The folder {folder} cannot be written ({error.strerror or error}): give another {option}."
        ) from error
    return folder


def try_folder(folder: Path) -> None:
    """Make a folder, write into it, and leave everything as it was; raises OSError if that cannot be done."""
    folder = Path(os.path.realpath(folder))  # new/../other is other, and new is not made
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    finally:
        for path in missing:
            if path.is_dir():
                path.rmdir()


def temporary_beside(path: Path) -> Path:
    """A hidden name in the same folder that says whose it is: .NAME.HOST-PROCESS-RANDOM.tmp"""
    return path.with_name(f".{path.name}.{_this_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")


def remove_left_overs(folder: Path, name: str = "", below: bool = False) -> None:
    """Remove the hidden files, and folders, of writers on this machine that are no more.

    Args:
        name: only those of this file.
        below: also in the folders inside.
    """
    ours = re.compile(rf"\.{re.escape(name) if name else '.+'}\.{_this_host()}-([0-9]+)-[0-9a-f]{{8}}\.tmp")
    with suppress(OSError):  # a folder that cannot be read has nothing that we could remove
        for entry in list(folder.rglob(".*.tmp") if below else folder.glob(".*.tmp")):
            found = ours.fullmatch(entry.name)
            if not found or _lives(int(found[1])):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _this_host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    return True
