"""How a name becomes an editor, and whether it can."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import torch

from fasttext2style.editors.editor import ImageEditor
from fasttext2style.editors.settings import check_names, settings_of
from fasttext2style.plug_ins import PlugIns

PLUG_INS = PlugIns("editor")


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

    of_all = [field.name for field in fields(LocalEditConfig)]
    own = {key: value for key, value in settings.items() if key not in of_all}
    # First of all: loading takes long.
    local = settings_of(LocalEditConfig, {key: value for key, value in settings.items() if key in of_all})
    factory = PLUG_INS.find(name)
    if factory is None:
        from fasttext2style.editors.diffusion.folder import load_diffusers_editor

        return LocalEditor(load_diffusers_editor(name, device, own, sorted(PLUG_INS.installed())), local)
    parameters = inspect.signature(factory).parameters
    if all(parameter.kind != inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        check_names(name, own, [key for key in parameters if key != "device"], of_all)
    return LocalEditor(PLUG_INS.make(name, factory, ImageEditor, device=device, **own), local)


def editor_is_here(name: str) -> bool:
    """Whether an editor can be loaded from this machine; else it would be downloaded first.

    Raises:
        ValueError: no such editor, a model of another kind, or one that cannot be had.
    """
    if PLUG_INS.find(name) is not None:
        return True
    from fasttext2style.editors.diffusion.folder import diffusers_editor_is_here

    return diffusers_editor_is_here(name, sorted(PLUG_INS.installed()))
