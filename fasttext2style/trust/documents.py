"""JSON, and text, that others may have written or damaged: read whole, or refused with what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fasttext2style.trust.sizes import is_endless

LARGEST = 8 << 20
"""Bytes. Lists of nothing take 25 times their size in memory; the largest of our own has some hundred kilobytes."""
LARGEST_YAML = 256 << 10
"""Bytes. A hundred thousand take a second to read; our own have ten thousand."""

Check = Callable[[Any], bool]


def read_document(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file.

    Raises:
        ValueError: missing, too large, no JSON, or no mapping; a reason without the file's name.
    """
    try:
        if is_endless(path):
            raise ValueError("it is no file, but a pipe or a device")
        with open(path, "rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    return parsed_document(content)


def parsed_document(content: bytes) -> dict[str, Any]:
    """As `read_document`, of the file's bytes."""
    if len(content) > LARGEST:
        raise ValueError(f"it has more than the {LARGEST:,} bytes that are read of such a file")
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError("too many brackets inside each other") from None
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"expected a mapping, got a {type(document).__name__}")
    return document


def check_density(content: bytes) -> None:
    """Raises ValueError for JSON of any length that would take much more memory than it is long, such as [[],[],..."""
    needed = 64 * content.count(b"[") + 240 * content.count(b"{") + 32 * content.count(b",")
    if needed > len(content) + 200e6:
        raise ValueError(f"it has {len(content):,} bytes and would take {needed:,}: there are only brackets and commas")


def read_yaml_text(path: Path) -> str:
    """The text of a file of settings.

    Raises:
        ValueError: too large, a reason without the file's name; or no UTF-8 (UnicodeDecodeError).
        OSError: it cannot be read.
    """
    if is_endless(path):
        raise ValueError("it is no file, but a pipe or a device")
    with open(path, "rb") as stream:
        content = stream.read(LARGEST_YAML + 1)
    if len(content) > LARGEST_YAML:
        raise ValueError(f"it has more than the {LARGEST_YAML:,} bytes that are read of such a file")
    return content.decode("utf8")


def check_fields(document: Mapping[str, Any], expected: Mapping[str, tuple[str, Check]], complete: bool = True) -> None:
    """Raises ValueError unless every field of `expected` (name -> what it is in words, whether it is) is there, or, if
    not `complete`, unless those that are there are what they should be."""
    for name, (words, check) in expected.items():
        if name not in document and not complete:
            continue
        if name not in document:
            raise ValueError(f"{name} is missing; expected {words}")
        if not check(document[name]):
            raise ValueError(f"{name} should be {words}, got {str(document[name])[:80]!r}")


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def is_count(value: Any) -> bool:
    """A whole number from 0 on that fits into 63 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """Finite."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and not math.isnan(value)
    )


def are_numbers(value: Any) -> bool:
    """A mapping of names to numbers; those of our own metrics may be infinite or no number."""
    return isinstance(value, dict) and all(
        isinstance(number, float) or (isinstance(number, int) and abs(number) < 2**63) for number in value.values()
    )


TEXT = ("text", is_text)
COUNT = ("a whole number from 0 on", is_count)
NUMBER = ("a number", is_number)
MAPPING = ("a mapping", is_mapping)
