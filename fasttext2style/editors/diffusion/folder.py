"""From a name to an editor on a diffusers model: which folder, which kind of pipeline, which of our classes."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from fasttext2style.editors.diffusion.networks import libraries_are_quiet
from fasttext2style.editors.editor import ImageEditor
from fasttext2style.editors.local_edit import LocalEditConfig
from fasttext2style.editors.settings import check_names, settings_of
from fasttext2style.trust.documents import read_document

EDITORS = {
    "StableDiffusionInstructPix2PixPipeline": "instruct_pix2pix:InstructPix2PixEditor",
    "StableDiffusionXLInstructPix2PixPipeline": "sdxl_instruct_pix2pix:SdxlInstructPix2PixEditor",
    "FluxKontextPipeline": "flux_kontext:FluxKontextEditor",
    "QwenImageEditPipeline": "qwen_image_edit:QwenImageEditor",
    "QwenImageEditPlusPipeline": "qwen_image_edit:QwenImageEditor",
    "StableDiffusionInpaintPipeline": "inpainting:InpaintingEditor",
    "StableDiffusionXLInpaintPipeline": "inpainting:InpaintingEditor",
    "FluxFillPipeline": "inpainting:InpaintingEditor",
}
"""Class name in model_index.json -> our class, which is made from a pipeline."""

SHOWN = "shown.json"
"""File beside model_index.json, of models that edit an object best before plain black: {"object_alone": true}."""

TINY = Path(__file__).parents[1] / "tiny"
"""The packaged model."""


def load_diffusers_editor(
    name: str, device: torch.device | str, settings: dict[str, Any], plugged_in: list[str]
) -> ImageEditor:
    """The editor that a model's model_index.json asks for; `settings` are fields of its config.

    Raises:
        ValueError: no such model, one of another kind, incomplete, or an unknown setting.
    """
    folder, revision = _find(name, plugged_in)
    pipeline_name = _pipeline_name(folder, name)
    module, _, class_name = EDITORS[pipeline_name].partition(":")
    editor_class = getattr(import_module(f"fasttext2style.editors.diffusion.{module}"), class_name)
    own, of_all = ([field.name for field in fields(config)] for config in (editor_class.config_class, LocalEditConfig))
    check_names(class_name, settings, own, of_all)
    config = settings_of(editor_class.config_class, settings)
    object_alone = _object_alone(folder)
    dtype = editor_class.load_dtype(config, torch.device(device))
    pipeline = _load_pipeline(folder, pipeline_name, dtype)
    editor = editor_class(pipeline, device, config, name, revision or _digest(folder))
    editor.object_alone = object_alone
    return editor


def diffusers_editor_is_here(name: str, plugged_in: list[str]) -> bool:
    """Whether a model lies on this machine; else it would be downloaded.

    Raises:
        ValueError: no such model, one of another kind, or one that cannot be had.
    """
    from huggingface_hub import try_to_load_from_cache

    folder = _local(name, plugged_in)
    if folder is None:
        index = try_to_load_from_cache(name, "model_index.json")
        if not isinstance(index, str):
            _check_reachable(name)
            return False
        folder = Path(index).parent
    _pipeline_name(folder, name)
    return True


def _find(name: str, plugged_in: list[str]) -> tuple[Path, str]:
    """The folder of a model on this machine, downloaded if need be, and its revision if the hub knows one."""
    folder = _local(name, plugged_in)
    return _download(name) if folder is None else (folder, "")


def _local(name: str, plugged_in: list[str]) -> Path | None:
    """The folder that a name means, None for a hub id."""
    if name == "tiny":
        return TINY
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        others = "".join(f', "{other}"' for other in plugged_in)
        raise ValueError(
            f'There is no editor {name!r}: not a folder here, nor a hub id (owner/model). Take "tiny" (packaged)'
            f'{others}, "timbrooks/instruct-pix2pix", a folder, or module:attribute.'
        )
    return None


def _download(name: str) -> tuple[Path, str]:
    """From the hub's cache, else from the hub."""
    from diffusers import DiffusionPipeline

    try:
        folder = Path(DiffusionPipeline.download(name, local_files_only=True))
    except (OSError, ValueError):
        _check_reachable(name)
        try:
            folder = Path(DiffusionPipeline.download(name))
        except (OSError, ValueError) as error:
            raise _not_to_be_had(name, str(error)) from error
    return folder, folder.name


def _check_reachable(name: str) -> None:
    from huggingface_hub import constants

    from fasttext2style.guidance.weights import reachable

    if constants.HF_HUB_OFFLINE or not reachable(constants.ENDPOINT):
        raise _not_to_be_had(name, f"{constants.ENDPOINT.rpartition('/')[2]} cannot be reached")


def _not_to_be_had(name: str, why: str) -> ValueError:
    return ValueError(
        f'{name} is not on this machine and cannot be downloaded: {why}. Give the path of a local copy, or take "tiny".'
    )


def _pipeline_name(folder: Path, name: str) -> str:
    """Class name of the pipeline in a folder, one of EDITORS; `name` is what the user called it."""
    try:
        pipeline_name = str(read_document(folder / "model_index.json")["_class_name"])
    except (KeyError, ValueError) as error:
        if (folder / "model_index.json").exists():
            raise ValueError(
                f"{folder / 'model_index.json'} cannot be read ({error}). Copy the model again."
            ) from error
        raise ValueError(
            f"{folder} holds no model_index.json and is no diffusers model. It should be a folder that "
            "save_pretrained() wrote or a copy of a hub repository."
        ) from None
    if pipeline_name not in EDITORS:
        raise ValueError(f"{name} is a {pipeline_name}, which edits no images; editors are {', '.join(EDITORS)}.")
    return pipeline_name


def _object_alone(folder: Path) -> bool:
    """Whether the model wants to see the object alone; models that say nothing do not."""
    path = folder / SHOWN
    if not path.exists():
        return False
    try:
        wanted = read_document(path)["object_alone"]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}). Copy the model again.") from error
    if not isinstance(wanted, bool):
        raise ValueError(f"{path}: object_alone is true or false, got {wanted!r}. Copy the model again.")
    return wanted


def _load_pipeline(folder: Path, pipeline_name: str, dtype: torch.dtype) -> Any:
    import diffusers

    # Without the safety checker: it turns false alarms into black images, and a scene's views are many.
    has_checker = "safety_checker" in read_document(folder / "model_index.json")
    options: dict[str, Any] = {"safety_checker": None, "requires_safety_checker": False} if has_checker else {}
    if dtype != torch.float32:
        options["torch_dtype"] = dtype
    try:
        with libraries_are_quiet():
            return getattr(diffusers, pipeline_name).from_pretrained(str(folder), local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(f"The model in {folder} is incomplete or damaged: {error}. Copy it again.") from error


def _digest(folder: Path) -> str:
    """A revision for folders that have none: of all files' names, sizes and both ends, for weights are gigabytes."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(65536))
            file.seek(max(0, size - 65536))
            digest.update(file.read())
    return digest.hexdigest()[:16]
