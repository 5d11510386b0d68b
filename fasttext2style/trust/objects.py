"""YAML with Python objects in it, read without running any of it: dataclasses and enumerations of named packages.

PyYAML's own `Loader` calls whatever a file names, with what the file says (`!!python/object/apply:os.system`). Here a
file can fill in the fields of dataclasses, choose values of enumerations, name classes, write paths and tuples. What an
object is made with later on (`_target`) is what its class says: a file may repeat it, not change it.
"""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any

import yaml

_PYTHON = "tag:yaml.org,2002:python/"
_PATHS = tuple(f"pathlib.{module}{kind}" for module in ("", "_local.") for kind in ("PosixPath", "WindowsPath", "Path"))


MOST_NODES = 100_000
"""Of a document, those counted again that it repeats by aliases: a few lines can mean a million million. Settings of a
run have two thousand."""


@dataclass(frozen=True)
class Known:
    """What a file may name."""

    packages: tuple[str, ...]
    """Whose dataclasses, enumerations and classes."""
    modules: tuple[str, ...] = ()
    """Of others, whose classes may be named besides, such as "torch.optim"."""
    moved: Mapping[str, str] | None = None
    """Class as older files call it -> module in which it stands now."""

    def find(self, name: str) -> type:
        """The class of this name.

        Raises:
            ValueError: there is none, or it is of another package, or no class.
        """
        module, _, attribute = name.rpartition(".")
        module = (self.moved or {}).get(name, module)
        if not self._covers(module):
            raise ValueError(f"{name[:100]} is nothing that settings may name")
        try:
            found = getattr(import_module(module), attribute)
        except Exception as error:  # a module of another version fails as it likes
            raise ValueError(f"{name[:100]} is not there ({type(error).__name__}: {error})") from error
        # What a module has imported from elsewhere is not its own.
        if not isinstance(found, type) or not self._covers(found.__module__):
            raise ValueError(f"{name[:100]} is no class of its package")
        return found

    def _covers(self, module: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in (*self.packages, *self.modules))


def load_objects(text: str, known: Known, at: Sequence[str] = ()) -> Any:
    """What a document says; with `at` only what stands under these names, one in the other: nothing else is looked at.

    Raises:
        ValueError: no YAML, something in it that is not `known`, or nothing of that name.
    """
    try:
        loader = _Loader(text)
        loader.known = known
        node = loader.get_single_node()
        for name in at:
            found = dict((key.value, value) for key, value in node.value) if isinstance(node, yaml.MappingNode) else {}
            if name not in found:
                raise ValueError(f"there is no {'.'.join(at)} in it")
            node = found[name]
        if node is not None and _nodes(node, {}) > MOST_NODES:
            raise ValueError(f"its anchors and aliases (& and *) make it more than {MOST_NODES:,} values")
        return None if node is None else loader.construct_document(node)
    except RecursionError:
        raise ValueError("too many brackets or indentations inside each other") from None
    except (yaml.YAMLError, TypeError, AttributeError, KeyError, OverflowError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error


def _nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """Values that a node comes to, each alias as often as it is used; `known` are those that were counted."""
    if id(node) not in known:
        known[id(node)] = MOST_NODES + 1  # what holds itself never ends
        inside = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = (part for entry in inside for part in (entry if isinstance(entry, tuple) else (entry,)))
        known[id(node)] = 1 + sum(_nodes(part, known) for part in parts)
    return known[id(node)]


class _Loader(yaml.SafeLoader):
    known: Known

    def find(self, name: str, node: yaml.Node) -> type:
        try:
            return self.known.find(name)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error

    def refuse(self, node: yaml.Node, why: str) -> yaml.constructor.ConstructorError:
        return yaml.constructor.ConstructorError(None, None, why, node.start_mark)


def _tuple(loader: _Loader, node: yaml.SequenceNode) -> tuple:
    return tuple(loader.construct_sequence(node, deep=True))


def _class(loader: _Loader, name: str, node: yaml.Node) -> type:
    return loader.find(name, node)


def _instance(loader: _Loader, name: str, node: yaml.Node) -> Any:
    kind = loader.find(name, node)
    if not is_dataclass(kind):
        raise loader.refuse(node, f"{name[:100]} is no dataclass")
    if not isinstance(node, yaml.MappingNode):
        raise loader.refuse(node, f"{name[:100]} should have fields")
    instance = object.__new__(kind)
    yield instance
    said = loader.construct_mapping(node, deep=True)
    for setting in fields(kind):
        default = setting.default if setting.default_factory is MISSING else setting.default_factory()
        value = said.get(setting.name, default)
        if setting.name == "_target" and value is not default:
            raise loader.refuse(node, f"{name[:100]} cannot be made as {value}: its class says {default}")
        if value is MISSING:
            raise loader.refuse(node, f"{name[:100]} lacks {setting.name}")
        object.__setattr__(instance, setting.name, value)


def _applied(loader: _Loader, name: str, node: yaml.Node) -> Any:
    if not isinstance(node, yaml.SequenceNode):
        raise loader.refuse(node, f"{name[:100]} is called with more than a list")
    parts = loader.construct_sequence(node, deep=True)
    if name in _PATHS:
        if not all(isinstance(part, str) for part in parts):
            raise loader.refuse(node, "a path has parts that are no text")
        return pathlib.Path(*parts)
    if name == "builtins.getattr":  # so early releases of Python 3.11 write a member of an enumeration
        kind, member = parts if len(parts) == 2 else (None, None)
        if not (isinstance(kind, type) and issubclass(kind, enum.Enum) and member in list(kind.__members__)):
            raise loader.refuse(node, f"{name} is nothing that settings may call, but for members of enumerations")
        return kind[member]
    if not loader.known._covers(name.rpartition(".")[0]):
        raise loader.refuse(node, f"{name[:100]} is nothing that settings may call")
    kind = loader.find(name, node)
    if not issubclass(kind, enum.Enum) or len(parts) != 1:
        raise loader.refuse(node, f"{name[:100]} is called, which only enumerations may be")
    return kind(parts[0])


_Loader.add_constructor(f"{_PYTHON}tuple", _tuple)
_Loader.add_multi_constructor(f"{_PYTHON}name:", _class)
_Loader.add_multi_constructor(f"{_PYTHON}object:", _instance)
_Loader.add_multi_constructor(f"{_PYTHON}object/apply:", _applied)
