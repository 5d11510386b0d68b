"""Paths among the settings of a config, made absolute: then a run goes on, and its recipe runs, from any folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fasttext2style.plug_ins import PlugIns
from fasttext2style.recipes.settings import DATAPARSER, fields_of
from fasttext2style.trust.typed import OrPath, expanded

_WITHIN = "relative_"
"""Begins the names of settings that are paths within the run's folder."""


def make_absolute(config: Any) -> None:
    """Every path, and every text that may be one (`OrPath`) and is there, from the present folder on."""
    _group(config, "")


def _group(group: Any, path: str) -> None:
    for name, field in fields_of(group, path).items():
        if field.path == DATAPARSER:
            # Its other paths are looked for in the capture; an empty one is taken from --data.
            if getattr(field.value, "data", Path()) != Path():
                _set(field.value, "data", _absolute(field.value.data))
            continue
        marks = [note for note in field.notes if isinstance(note, OrPath)]
        if marks:
            _set(group, name, found(field.value, marks[0]))
        elif field.is_group:
            _group(field.value, field.path)
        elif not name.startswith(_WITHIN):
            _set(group, name, _absolute(field.value))


def _absolute(value: Any) -> Any:
    if isinstance(value, Path):
        return expanded(value).absolute()
    if type(value) in (list, tuple):
        return type(value)(map(_absolute, value))
    if type(value) is dict:
        return {key: _absolute(entry) for key, entry in value.items()}
    return value


def found(value: Any, mark: OrPath) -> Any:
    """A text, or the texts of a dict, as an absolute path where it is one."""
    if isinstance(value, dict):
        return {key: found(entry, mark) for key, entry in value.items()}
    names = {"", *mark.names, *(PlugIns(mark.kind).installed() if mark.kind else ())}
    if value in names or not os.path.exists(expanded(value)):
        return value
    return str(expanded(value).absolute())


def _set(group: Any, name: str, value: Any) -> None:
    if isinstance(group, dict):
        group[name] = value
    elif value is not getattr(group, name, None):
        setattr(group, name, value)
