"""Settings of an editor, given as names and values: refused in words before anything is loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Config = TypeVar("Config")


def settings_of(config_class: type[Config], settings: Mapping[str, Any]) -> Config:
    """A dataclass of known settings; values come from a command line and may be of any type.

    Raises:
        ValueError: a value of another type than the field's, none of its choices, or out of range.
    """
    hints = get_type_hints(config_class)
    values = dict(settings)
    for name, value in settings.items():
        if type(value) is int and not _fits(value, hints[name]):
            values[name] = float(value)
        if not _fits(values[name], hints[name]):
            raise ValueError(f"The editor's setting {name} is {_in_words(hints[name])}; got {value!r}")
    return config_class(**values)


def values_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """Settings as a command line gives them: truth values, numbers and text."""
    return {name: _value(text) for name, text in texts.items()}


def check_names(owner: str, settings: Mapping[str, Any], known: Collection[str], of_all: Collection[str]) -> None:
    """Refuse settings that `owner` does not have.

    Args:
        known: the editor's own.
        of_all: those that every editor has, for the message.
    """
    if unknown := sorted(set(settings) - set(known)):
        own = f"it has {', '.join(known)}" if known else "it has none of its own"
        raise ValueError(f"{owner} has no setting {', '.join(unknown)}; {own}, and as all editors {', '.join(of_all)}")


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, origin or hint)


def _in_words(hint: Any) -> str:
    """float | None -> "a number or None"."""
    origin = get_origin(hint)
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_in_words(choice) for choice in get_args(hint)))
    words = {int: "a whole number", float: "a number", bool: "True or False", str: "text", type(None): "None"}
    return words.get(hint, "a tuple")


def _value(text: str) -> Any:
    """A setting from the command line: a truth value, a number, or text."""
    if text in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
