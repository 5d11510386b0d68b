"""A disk that is full from some moment on: the n-th file that is made, renamed or flushed, or after so many bytes.

What Python writes is counted byte by byte, and the last write is cut short, as by a real disk. torch and safetensors
write by themselves: the system's limit for a file's size stands in for them.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fasttext2style.history import delta
from fasttext2style.scene.files.atomic import temporary_beside

CALLS = {os: ("mkdir", "rename", "replace", "link", "symlink", "fsync"), builtins: ("open",), io: ("open",)}
"""What a full disk may refuse; what reads or removes is let through."""
NATIVE = {torch: "save", delta: "save_file"}
"""Called with (content, path)."""
IS_FULL = "No space left|File too large|file write failed|could not be written"
"""What is said by Python, by the system of files that may not grow, and by torch, which knows no reason."""
ENDLESS = 10**15


class Disk:
    def __init__(self, calls: int, bytes: int) -> None:
        self.calls_left, self.bytes_left = calls, bytes
        self.calls = self.bytes = 0
        """So far."""

    def call(self, path: object) -> None:
        self.calls += 1
        if self.calls > self.calls_left:
            self.refuse(path)

    def take(self, wanted: int, path: object) -> int:
        """How many of these bytes still fit."""
        fits = min(wanted, self.bytes_left - self.bytes)
        if fits <= 0 < wanted:
            self.refuse(path)
        self.bytes += fits
        return fits

    def refuse(self, path: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), None if path is None else str(path))


class _File(io.FileIO):
    disk: Disk

    def write(self, content: Any) -> int:
        content = memoryview(content).cast("B")
        # The system names no file for a write that fails.
        return super().write(content[: self.disk.take(len(content), None)])


@contextmanager
def full_disk(folder: Path, calls: int = ENDLESS, bytes: int = ENDLESS) -> Iterator[Disk]:
    """Nothing more can be written below a folder after so many calls, or bytes; yields what was used so far."""
    disk, root = Disk(calls, bytes), str(folder)
    moved: dict[str, str] = {}  # what goes back to where it came from finds its place there
    before = {(module, name): getattr(module, name) for module, names in CALLS.items() for name in names}
    before |= {(module, name): getattr(module, name) for module, name in NATIVE.items()}

    def is_below(path: object) -> bool:
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        return isinstance(path, str | os.PathLike) and str(path).startswith(root)

    def moving(original: Any, place: int) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            moves_back = place == 1 and moved.get(str(arguments[0])) == str(arguments[1])
            if is_below(arguments[place]) and not moves_back:
                disk.call(None if isinstance(arguments[place], int) else arguments[place])
            if place == 1:
                moved[str(arguments[1])] = str(arguments[0])
            return original(*arguments, **options)

        return call

    def opening(original: Any) -> Any:
        def call(file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, *more: Any, **options: Any):
            if not (set(mode) & set("wxa+") and not isinstance(file, int) and is_below(file)):
                return original(file, mode, buffering, encoding, *more, **options)
            disk.call(file)
            raw = _File(file, mode.replace("b", "").replace("t", ""))
            raw.disk = disk
            stream = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return stream if "b" in mode else io.TextIOWrapper(stream, encoding or "utf8")

        return call

    def native(original: Any) -> Any:
        def call(content: Any, path: Any, *more: Any, **options: Any) -> Any:
            if not is_below(path):
                return original(content, path, *more, **options)
            disk.call(path)
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (max(0, disk.bytes_left - disk.bytes), limits[1]))
            try:
                original(content, path, *more, **options)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            disk.take(os.stat(path).st_size, path)

        return call

    for (module, name), original in before.items():
        if name == "open":
            wrapped = opening(original)
        elif module in NATIVE:
            wrapped = native(original)
        else:
            wrapped = moving(original, 1 if name in ("rename", "replace", "link", "symlink") else 0)
        setattr(module, name, wrapped)
    try:
        yield disk
    finally:
        for (module, name), original in before.items():
            setattr(module, name, original)


def moments(used: Disk, most: int = 40) -> list[dict[str, int]]:
    """When the disk becomes full, for a change that used so much: at every call (of very many: some, and the last
    ones), and in the midst of writing."""
    calls = list(range(used.calls))
    if len(calls) > most:
        step = -(-len(calls) // (most // 2))
        calls = sorted({*calls[::step], *calls[-most // 2 :]})
    sizes = sorted({0, 1, used.bytes - 1, *(used.bytes * share // 8 for share in range(1, 8))})
    return [{"calls": count} for count in calls] + [{"bytes": size} for size in sizes if 0 <= size < used.bytes]


def files(folder: Path) -> dict[str, bytes]:
    """All there is below a folder, but for who is writing to it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".lock")
    }


@contextmanager
def flushes_and_names(monkeypatch: Any) -> Iterator[list[tuple[str, str, int]]]:
    """Yields what happens: ("flushed", file, its bytes), and ("named", old name, 0)."""
    seen: list[tuple[str, str, int]] = []
    fsync = os.fsync

    def flushing(descriptor: int) -> None:
        seen.append(("flushed", os.readlink(f"/proc/self/fd/{descriptor}"), os.fstat(descriptor).st_size))
        fsync(descriptor)

    def naming(original: Any) -> Any:
        def call(source: Any, target: Any, **options: Any) -> None:
            seen.append(("named", str(source), 0))
            original(source, target, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flushing)
        for name in ("rename", "replace"):
            patch.setattr(os, name, naming(getattr(os, name)))
        yield seen


def left_by_a_killed_writer(path: Path) -> Path:
    """The hidden file, half written, of a process that is no more."""
    before = set(path.parent.iterdir())
    child = os.fork()
    if child == 0:
        temporary_beside(path).write_bytes(b"half a fi")
        os._exit(0)
    os.waitpid(child, 0)
    (left,) = set(path.parent.iterdir()) - before
    return left
