"""Methods by name: the entry points through which nerfstudio finds them, ours and those of other plugins."""

from __future__ import annotations

import difflib
import functools
from importlib.metadata import EntryPoints, entry_points
from typing import Any


@functools.cache
def _methods() -> EntryPoints:
    return entry_points(group="nerfstudio.method_configs")


def method_names() -> list[str]:
    """Names of the methods that recipes can be about."""
    return sorted(_methods().names)


def default_config(method: str) -> Any:
    """A method's settings as they are when nothing is said; not to be changed.

    Raises:
        ValueError: no such method.
    """
    names = method_names()
    if method not in names:
        close = difflib.get_close_matches(method, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
        raise ValueError(f"there is no method {method!r}; {hint}")
    return _methods()[method].load().config
