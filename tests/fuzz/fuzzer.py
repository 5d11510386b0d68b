"""Damages files at random, has them read, and keeps those that were refused at a new place: from them it goes on.

As a script it does so for long: python -m tests.fuzz.fuzzer 100000 [target ...]
"""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz.targets import TARGETS, Target

SECONDS = 5.0
"""A reader that computes for longer hangs; one that waits, after ten times that: others may have the machine, too."""
_VALUES: list[Any] = [
    *(None, True, -1, 0, 10**9, 10**30, 1.5, -0.0, float("inf"), float("nan"), "", "x", "../..", "1", "\ud800"),
    *([], [[]], {}, {"": {}}, [1, 2], {"a": None}),
]
_BYTES = [
    b"\x00",
    b"\xff" * 8,
    b"9" * 30,
    b"-1",
    b"\n",
    b" ",
    b"e999",
    b"nan",
    b"\xff\xfe",
    b"{",
    b"[",
    b'"',
    b"\x7f" * 4,
]


class Hangs(BaseException):
    """Not an Exception: nobody takes it for a damaged file."""


def fuzz(name: str, count: int, seed: int = 0) -> Counter[str]:
    """Read so many damaged files; returns where they were refused, and how often.

    Raises:
        AssertionError: anything but a ValueError, too much memory, or a hang; with the file's bytes.
    """
    target, dice = TARGETS[name], random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory() as folder:
        corpus, places = _seeds(target, Path(folder)), Counter[str]()
        path = Path(folder) / target.file
        before = [(kind, signal.signal(kind, _hang)) for kind in (signal.SIGALRM, signal.SIGPROF)]
        tracemalloc.start()
        try:
            for content in [*corpus[:count], *(None for _ in range(count - len(corpus)))]:
                content = _damaged(dice.choice(corpus), corpus, dice) if content is None else content
                path.write_bytes(content)
                place = _read(target, Path(folder), content)
                if place not in places and len(content) < 1 << 20:
                    corpus.append(content)
                places[place] += 1
        finally:
            tracemalloc.stop()
            for kind, handler in before:
                signal.signal(kind, handler)
    return places


def _seeds(target: Target, folder: Path) -> list[bytes]:
    seeds, path = target.seeds(folder), folder / target.file
    path.parent.mkdir(parents=True, exist_ok=True)
    for content in seeds[:1]:
        path.write_bytes(content)
        target.read(folder)
    return seeds


def _read(target: Target, folder: Path, content: bytes) -> str:
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    before = _most_memory(begins_anew=True)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 10 * SECONDS)
    place = "read"
    try:
        target.read(folder)
    except ValueError as error:
        assert not isinstance(error, UnicodeError) or target.file.endswith((".yml", ".yaml")), (error, content)
        place = _place(error)
    except BaseException as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{content!r}") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    # What Python and numpy took at most, and by how much the process grew: libraries take memory by themselves.
    for took in (tracemalloc.get_traced_memory()[1] - held, _most_memory() - before):
        assert took <= 3 * len(content) + 200e6, f"{took / 1e6:.0f} MB\n{content[:2000]!r}"
    return place


def _most_memory(begins_anew: bool = False) -> int:
    """Bytes that this process held at most, since it was asked to begin anew (Linux: proc(5), clear_refs)."""
    if begins_anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _place(error: BaseException) -> str:
    """Where it was refused: the last lines that ran, of libraries, too."""
    while error.__cause__ is not None:
        error = error.__cause__
    steps, trace = [], error.__traceback__
    while trace is not None:
        steps.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " ".join(steps[-3:])


def _damaged(content: bytes, corpus: list[bytes], dice: random.Random) -> bytes:
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        how = dice.randrange(8)
        place = dice.randrange(len(content) + 1)
        if how == 0:
            content = content[:place]
        elif how == 1:
            content = content[:place] + dice.choice(_BYTES) + content[place:]
        elif how == 2:
            content = content[:place] + content[place + dice.randrange(1, 30) :]
        elif how == 3 and content:
            place = min(place, len(content) - 1)
            content = content[:place] + bytes([content[place] ^ (1 << dice.randrange(8))]) + content[place + 1 :]
        elif how == 4:
            other = dice.choice(corpus)
            content = content[:place] + other[dice.randrange(len(other) + 1) :]
        elif how == 5:
            content = content[:place] + content[max(0, place - dice.randrange(200)) :]
        else:
            content = _other_values(content, dice)
    return content


def _other_values(content: bytes, dice: random.Random) -> bytes:
    """Of JSON, also of that at the beginning of a safetensors file; other files stay."""
    start = 0 if content[:1] in (b"{", b"[") else 8
    try:
        document, end = json.JSONDecoder().raw_decode(content[start:].decode("latin1"))
    except (ValueError, RecursionError):
        return content
    holders = []

    def collect(value: Any) -> None:
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, entry in entries:
            holders.append((value, key))
            collect(entry)

    collect(document)
    if not holders:
        return content
    holder, key = dice.choice(holders)
    if dice.random() < 0.2:
        del holder[key]
    else:
        holder[key] = dice.choice(_VALUES)
    text = json.dumps(document).encode()
    if start == 0:
        return text + content[end:]
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + end :].lstrip(b" ")


def _hang(kind: int, _: object) -> None:
    raise Hangs(f"over {SECONDS:g} s of computing" if kind == signal.SIGPROF else f"over {10 * SECONDS:g} s")


if __name__ == "__main__":
    for chosen in sys.argv[2:] or TARGETS:
        began = time.monotonic()
        found = fuzz(chosen, int(sys.argv[1]), seed=random.randrange(10**6))
        seconds = time.monotonic() - began
        read, places = found["read"], len(found) - 1
        print(f"{chosen}: {read:,} of {found.total():,} read, refused at {places} places, {seconds:.0f} s", flush=True)
