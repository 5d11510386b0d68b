"""What others bring, by name: an entry point of one of our groups, or "module:attribute" of a module on the path.

Both name a class or a function. No code of ours has to change for it, and none of theirs has to import ours.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any


class NotTrusted(ValueError):
    """Code was named by somebody who may be anybody."""


@contextmanager
def named_by_others(who: str) -> Iterator[None]:
    """Inside, for all threads, no module is imported because of its name: it was not the user who named it.

    Args:
        who: named it, for the error.
    """
    _others.append(who)
    try:
        yield
    finally:
        _others.remove(who)


_others: list[str] = []


def names_come_from_others() -> bool:
    """Whether this is inside of `named_by_others`."""
    return bool(_others)


@dataclass(frozen=True)
class PlugIns:
    """One kind of thing that others may bring."""

    kind: str
    """In words, such as "text loss"."""

    @property
    def group(self) -> str:
        """Of entry points: "fasttext2style.editors", "fasttext2style.text_losses" ..."""
        plural = f"{self.kind}es" if self.kind.endswith("s") else f"{self.kind}s"
        return f"fasttext2style.{plural.replace(' ', '_')}"

    def installed(self) -> dict[str, EntryPoint]:
        """By name, those that installed packages bring."""
        return {entry.name: entry for entry in entry_points(group=self.group)}

    def find(self, name: str) -> Callable[..., Any] | None:
        """The class or function that `name` stands for; None if it is neither an entry point nor module:attribute.

        Raises:
            NotTrusted: it would have to be imported, and others named it.
            ValueError: it cannot be imported, or is nothing that can be called.
        """
        if not name.strip():
            raise ValueError(f"The name of the {self.kind} is empty: leave its option out, or give one.")
        entry = self.installed().get(name)
        if entry is None and (":" not in name or Path(name).exists()):
            return None
        if entry is None and _others:
            raise NotTrusted(
                f"{_others[-1]} names code, the {self.kind} {name!r}, and was not written by you on this machine. Look "
                "at it; if you trust it, give the command --trust."
            )
        module, _, path = (name if entry is None else entry.value.split("[")[0].strip()).partition(":")
        try:
            found: Any = import_module(module)
            for attribute in path.split("."):
                found = getattr(found, attribute)
        except Exception as error:  # a module of others raises whatever it likes when it is imported
            raise ValueError(f"The {self.kind} {name!r} cannot be imported: {_reason(error)}. {_HOW}") from error
        if not callable(found):
            raise ValueError(
                f"The {self.kind} {name!r} is a {type(found).__name__}; it should be a class or a function."
            )
        return found

    def make(self, name: str, factory: Callable[..., Any], protocol: type, **arguments: Any) -> Any:
        """Call what `find` found, and see that the outcome has all members of the protocol.

        Raises:
            ValueError: it takes other arguments, fails, or makes something else.
        """
        try:
            inspect.signature(factory).bind(**arguments)
        except TypeError as error:
            raise ValueError(
                f"The {self.kind} {name!r} is called with {', '.join(arguments)}, which it does not take: {error}."
            ) from error
        try:
            made = factory(**arguments)
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"The {self.kind} {name!r} could not be made: {_reason(error)}.") from error
        if missing := [member for member in _members(protocol) if not hasattr(made, member)]:
            raise ValueError(
                f"{name!r} made a {type(made).__name__}, which is no {self.kind}: it lacks {', '.join(missing)}. "
                f"{protocol.__module__}.{protocol.__name__} says what they are."
            )
        return made

    def unknown(self, name: str, known: list[str], more: str = "") -> ValueError:
        """The error for a name of nothing; `more` says what else may be given."""
        known = [*known, *self.installed()]
        close = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        return ValueError(
            f"There is no {self.kind} {name!r}. {hint}There are {', '.join(known)}{more}, or one of your own as "
            "module:attribute."
        )


_HOW = "Write module:attribute, and see that the module is installed or in a folder of PYTHONPATH"


def _members(protocol: type) -> list[str]:
    names = {*dir(protocol), *getattr(protocol, "__annotations__", {})}
    return sorted(name for name in names if not name.startswith("_"))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {text}"
