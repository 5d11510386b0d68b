"""How a name becomes an editor, and whether it can."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import torch

from fasttext2style.editors.editor import ImageEditor
from fasttext2style.editors.settings import check_names, settings_of


def load_editor(name: str, device: torch.device | str = "cpu", **settings: Any) -> ImageEditor:
    """Load an editor, wrapped so that it edits the object at its native resolution and nothing outside the mask.

    `name` is one of
    - "tiny": packaged, knows a few colours and materials, needs no download;
    - a folder in diffusers' format, or a hub id such as "timbrooks/instruct-pix2pix"; which kind of editor it is stands
      in its model_index.json;
    - an entry point of the group "fasttext2style.editors";
    - "module:attribute", a class or function that is called with `device` and settings and returns an editor.

    `settings` are fields of `local_edit.LocalEditConfig` (batch size, margin, feather ...), and for the rest the
    editor's own.

    Raises:
        ValueError: no such editor, a model of another kind, an unknown setting or value; says what can be had.
    """
    from fasttext2style.editors.local_edit import LocalEditConfig, LocalEditor

    plugged_in = _plugged_in()
    of_all = [field.name for field in fields(LocalEditConfig)]
    own = {key: value for key, value in settings.items() if key not in of_all}
    # First of all: loading takes long.
    local = settings_of(LocalEditConfig, {key: value for key, value in settings.items() if key in of_all})
    if name in plugged_in:
        make = plugged_in[name].load()
    elif ":" in name and not Path(name).exists():
        make = _attribute(name)
    else:
        from fasttext2style.editors.diffusion.folder import load_diffusers_editor

        return LocalEditor(load_diffusers_editor(name, device, own, sorted(plugged_in)), local)
    parameters = inspect.signature(make).parameters
    if all(parameter.kind != inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        check_names(name, own, [key for key in parameters if key != "device"], of_all)
    return LocalEditor(make(device=device, **own), local)


def editor_is_here(name: str) -> bool:
    """Whether an editor can be loaded from this machine; else it would be downloaded first.

    Raises:
        ValueError: no such editor, a model of another kind, or one that cannot be had.
    """
    plugged_in = _plugged_in()
    if name in plugged_in:
        return True
    if ":" in name and not Path(name).exists():
        return callable(_attribute(name))
    from fasttext2style.editors.diffusion.folder import diffusers_editor_is_here

    return diffusers_editor_is_here(name, sorted(plugged_in))


def _plugged_in() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="fasttext2style.editors")}


def _attribute(path: str) -> Callable[..., ImageEditor]:
    """What "module:attribute" names."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"The editor {path!r} cannot be imported: {error}. Write module:attribute, and see that the module is "
            "installed or in a folder of PYTHONPATH."
        ) from error
