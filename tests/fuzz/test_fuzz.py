"""Every reader, some hundred damaged files each: read, or refused by a ValueError, soon and in little memory."""

import time

import pytest
import torch

from tests.fuzz import fuzzer
from tests.fuzz.fuzzer import fuzz
from tests.fuzz.targets import TARGETS, Target

COUNT = 120


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_are_read_or_refused_in_words(target):
    places = fuzz(target, COUNT)
    assert places.total() == COUNT
    assert len(places) >= 3, "hardly any place was reached: the damage is of one kind only"


def test_the_fuzzer_sees_what_is_no_valueerror(monkeypatch):
    def careless(folder):
        if (folder / "file").read_bytes() != b"abc":
            raise KeyError("ids")

    monkeypatch.setitem(TARGETS, "careless", Target("file", lambda _: [b"abc"], careless))
    with pytest.raises(AssertionError, match="KeyError"):
        fuzz("careless", 20)


def test_the_fuzzer_sees_what_takes_too_much_memory(monkeypatch):
    monkeypatch.setitem(TARGETS, "greedy", Target("file", lambda _: [b"abc"], lambda _: bytearray(250_000_000)))
    with pytest.raises(AssertionError, match="250 MB"):
        fuzz("greedy", 1)


def test_the_fuzzer_sees_what_a_library_takes(monkeypatch):
    """Python knows nothing of torch's memory."""
    monkeypatch.setitem(TARGETS, "greedy", Target("file", lambda _: [b"abc"], lambda _: torch.ones(75_000_000)))
    with pytest.raises(AssertionError, match="300 MB"):
        fuzz("greedy", 1)


@pytest.mark.parametrize("pause, said", [(0.1, "over 2 s"), (0, "over 0.2 s of computing")])
def test_the_fuzzer_sees_what_hangs(monkeypatch, pause, said):
    def slow(folder):
        while (folder / "file").read_bytes() != b"abc":
            time.sleep(pause)

    monkeypatch.setattr(fuzzer, "SECONDS", 0.2)
    monkeypatch.setitem(TARGETS, "slow", Target("file", lambda _: [b"abc"], slow))
    with pytest.raises(AssertionError, match=f"Hangs: {said}"):
        fuzz("slow", 20)
