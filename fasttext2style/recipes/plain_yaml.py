"""YAML as recipes use it: mappings, lists, text, numbers, true, false, null. Nothing else is read.

Types are those of YAML 1.2 (`on`, `no`, `1:30` and `2026-01-31` are text, `1e-3` is a number), for in those of 1.1
`lpips: on` would be true. Written files mean the same under both.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_FLOAT = re.compile(
    r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$|[-+]?[0-9]+[eE][-+]?[0-9]+$|[-+]?\.inf$|\.nan$", re.I
)
_TYPES = [
    ("null", re.compile(r"(?:~|null|Null|NULL)?$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789")),
]


class _Loader(yaml.SafeLoader):
    """SafeLoader without tags, anchors and YAML 1.1's types; remembers keys that are written twice."""

    yaml_implicit_resolvers: dict = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.mistakes: list[str] = []

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(None, None, "anchors and aliases (& and *) are not read", event.start_mark)
        # "!" is what a quoted text resolves to, not something that was written.
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise yaml.MarkedYAMLError(None, None, f"the tag {tag} is not read", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(None, None, "a name is expected before the colon", key_node.start_mark)
            if key in lines:
                self.mistakes.append(f"`{key}` stands twice, in lines {lines[key]} and {line}")
            lines.setdefault(key, line)
        return super().construct_mapping(node, deep)

    def construct_decimal(self, node: Any) -> int:
        try:
            return int(node.value)
        except ValueError:  # Python reads at most 4,300 digits
            raise yaml.MarkedYAMLError(None, None, "a number of too many digits", node.start_mark) from None


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes text which YAML 1.2 takes for something else, and line breaks which it does not."""

    def represent_text(self, text: str) -> Any:
        style = '"' if re.search("[\x85\u2028\u2029\ufeff]", text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


for _name, _pattern, _first in _TYPES:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, _first)
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, _first)
_Dumper.add_representer(str, _Dumper.represent_text)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_decimal)


def read_yaml(text: str) -> tuple[Any, list[str]]:
    """What a document holds, and the keys that stand in it twice (of these the last value is returned).

    Raises:
        ValueError: it is not YAML, or more than plain values; says where.
    """
    try:
        loader = _Loader(text)
        return loader.get_single_data(), loader.mistakes
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        if "\\t" in str(error.problem):
            raise ValueError(f"{where}a tab; indent with spaces") from error
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:  # characters that no text has
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError:
        raise ValueError("too many brackets or indentations inside each other") from None


def write_yaml(document: dict) -> str:
    """A document as text, in the order of its keys."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
