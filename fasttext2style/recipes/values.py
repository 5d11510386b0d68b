"""Single values of a recipe: checked against a field's type, and written as words of a command line."""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}


def bare(hint: Any) -> Any:
    """A type without what Annotated says about it."""
    return bare(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def typed(value: Any, hint: Any) -> Any:
    """A value as YAML gives it, as a field of the type `hint` holds it: lists become tuples, text becomes a path.

    Raises:
        ValueError: it does not fit, or cannot be said on a command line; says what is expected and what came.
    """
    hint = bare(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _one_of(value, hint)
    if origin is Literal:
        return _chosen(value, inner)
    if origin in (tuple, list) and isinstance(value, (list, tuple)):
        return _listed(value, hint)
    if origin is dict and inner and isinstance(value, Mapping):
        # Numbers that are kept as text, such as an editor's settings, need no quotes.
        entries = [str(entry) if inner[1] is str and not isinstance(entry, (Mapping, list)) else entry
                   for entry in value.values()]  # fmt: skip
        pairs = [(typed(key, inner[0]), typed(entry, inner[1])) for key, entry in zip(value, entries)]
        _check_entries([part for pair in pairs for part in pair])
        return dict(pairs)
    if isinstance(hint, type) and issubclass(hint, Enum) and isinstance(value, str) and value in hint.__members__:
        return hint[value]
    if hint in (str, Path) and isinstance(value, str):
        return hint(_checked_text(value))
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.nan
        if math.isnan(number):
            raise ValueError(f"expected a number, got {shown(value)}")
        return number
    if hint in (int, bool) and type(value) is hint:
        return value
    raise ValueError(f"expected {in_words(hint)}, got {shown(value)}")


def plain(value: Any) -> Any:
    """A field's value as YAML holds it.

    Raises:
        ValueError: a recipe has no words for it.
    """
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {plain(key): plain(entry) for key, entry in value.items()}
    raise ValueError(f"a {type(value).__name__} cannot be written into a recipe")


def words(value: Any) -> list[str]:
    """A field's value as the words that follow its option."""
    if isinstance(value, (list, tuple)):
        return [word for entry in value for word in words(entry)]
    if isinstance(value, dict):
        return [word for pair in value.items() for word in words(pair)]
    return [value.name if isinstance(value, Enum) else str(value)]


def in_words(hint: Any) -> str:
    """tuple[float, float] | None -> "a list of 2 (a number, a number) or null"."""
    hint = bare(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if hint is types.NoneType:
        return "null"
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(in_words(choice) for choice in inner))
    if origin is list or (origin is tuple and inner[-1:] == (Ellipsis,)):
        return f"a list, each entry {in_words(inner[0])}"
    if origin is tuple:
        return f"a list of {len(inner)} ({', '.join(in_words(entry) for entry in inner)})"
    if origin is dict and inner:  # nerfacto has a bare Dict, of which ns-train offers no option
        return f"a mapping of {in_words(inner[0])} to {in_words(inner[1])}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(hint.__members__)}"
    return _NAMES.get(hint, "nothing that a recipe can give")


def shown(value: Any) -> str:
    """What came, short."""
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    if isinstance(value, Mapping):
        text = f"a mapping ({', '.join(map(str, value))})" if value else "an empty mapping"
    elif isinstance(value, (int, float)):
        text = str(value)
    else:
        text = f"{'the list' if isinstance(value, list) else 'the text'} {value!r}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _one_of(value: Any, hint: Any) -> Any:
    choices = [choice for choice in get_args(hint) if choice is not types.NoneType]
    optional = len(choices) < len(get_args(hint))
    if optional and value is None:
        return None
    if optional and value == "None":
        raise ValueError("the text None means nothing on a command line; write null")
    errors = []
    for choice in choices:
        try:
            return typed(value, choice)
        except ValueError as error:
            errors.append(str(error))
    raise ValueError(errors[0] if len(errors) == 1 else f"expected {in_words(hint)}, got {shown(value)}")


def _chosen(value: Any, choices: tuple) -> Any:
    if any(value == choice and type(value) is type(choice) for choice in choices):
        return value
    close = difflib.get_close_matches(str(value)[:80], list(map(str, choices)), n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"expected one of {', '.join(map(str, choices))}, got {shown(value)}{hint}")


def _listed(value: Any, hint: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    fixed = origin is tuple and inner[-1:] != (Ellipsis,)
    if fixed and len(value) != len(inner):
        raise ValueError(f"expected {in_words(hint)}, got {len(value)} entries")
    try:
        entries = [typed(entry, inner[index] if fixed else inner[0]) for index, entry in enumerate(value)]
    except ValueError as error:
        raise ValueError(f"{error} in the list {shown(list(value)).removeprefix('the list ')}") from error
    _check_entries(entries)
    return origin(entries)


def _check_entries(entries: list) -> None:
    """Text among several words of an option must not look like the next option."""
    for entry in entries:
        if isinstance(entry, (str, Path)) and str(entry).startswith("-"):
            raise ValueError(f"expected no text that begins with -, got {str(entry)!r}: it would be read as an option")


def _checked_text(text: str) -> str:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"expected text, got {text!r}: it has letters that no command line can hold")
    return text
