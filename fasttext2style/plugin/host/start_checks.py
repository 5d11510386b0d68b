"""What can be refused before a run begins: each check reads little, and leaves nothing. `run_config` orders them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.configs.base_config import MachineConfig
from rich.errors import MarkupError
from rich.markup import render

from fasttext2style.plugin.host.capture import Capture
from fasttext2style.plugin.host.checkpoints import check_gaussians, read_checkpoint
from fasttext2style.scene.files.atomic import try_folder
from fasttext2style.scene.files.scenes import survey
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.choice import ObjectChoice
from fasttext2style.selection.segmenters.load import load_segmenter
from fasttext2style.selection.selection import Selection
from fasttext2style.terminal.console import warn
from fasttext2style.trust.typed import expanded

LIKELY_GAUSSIANS = {"cpu": 150_000, "cuda": 1_000_000}
"""Of a reconstruction: 97,586 on the capture `bear` at 256 pixels; splatfacto's own runs have a million and more."""
SAMPLES = 1000
"""Gaussians of a .ply that are looked at."""
COPIES_OF_AN_EDIT = 4
"""A checkpoint, the one that replaces it, what the history keeps, and the .ply."""
COPIES_OF_A_RECONSTRUCTION = 6
"""A checkpoint with two moments of Adam, and the one that replaces it."""


@dataclass(frozen=True)
class NamedScene:
    """What the file that a run starts from says about itself."""

    path: Path
    gaussians: int
    some: Gaussians | None = None
    """Of a .ply, at even steps."""
    step: int = 0
    method: str = ""
    """Of a checkpoint of ours; empty for others."""


# --- machine and folder -------------------------------------------------------------------------------------------


def check_machine(machine: MachineConfig) -> None:
    """Raises ValueError for a device that is not there, or several."""
    if machine.device_type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "--machine.device-type is cuda, but torch sees no NVIDIA GPU here (torch.cuda.is_available() is False). "
            "Leave it out: without a GPU the CPU is taken."
        )
    if machine.device_type not in ("cuda", "cpu"):
        raise ValueError(f"--machine.device-type is cuda or cpu here, got {machine.device_type}.")
    if machine.num_devices != 1 or machine.num_machines != 1:
        raise ValueError(
            f"A run takes one device on one machine, got --machine.num-devices {machine.num_devices} and "
            f"--machine.num-machines {machine.num_machines}: leave both at 1."
        )


def check_rates(optimizers: Mapping[str, Any]) -> None:
    """Raises ValueError for a learning rate that is none."""
    for name, settings in optimizers.items():
        if not 0 <= settings["optimizer"].lr < float("inf"):
            raise ValueError(f"The learning rate of {name} must be 0 or more, got {settings['optimizer'].lr}.")


def check_model(model: Any) -> None:
    """Raises ValueError for numbers of splatfacto's, as far as a model has them, that would end a run or its scene."""
    degree, share = getattr(model, "sh_degree", 0), getattr(model, "ssim_lambda", 0.0)
    if degree not in range(4):
        raise ValueError(f"--pipeline.model.sh-degree is 0, 1, 2 or 3, got {degree}.")
    if not 0 <= share <= 1:
        raise ValueError(f"--pipeline.model.ssim-lambda is a share from 0 to 1, got {share}.")
    for name in ("sh_degree_interval", "resolution_schedule", "refine_every", "reset_alpha_every", "num_random"):
        if getattr(model, name, 1) < 1:
            option = name.replace("_", "-")
            raise ValueError(f"--pipeline.model.{option} is 1 or more, got {getattr(model, name)}.")


def check_output_folder(folder: Path) -> None:
    """Make the folder of a run, write into it, and leave everything as it was.

    Raises:
        ValueError: that cannot be done.
    """
    folder = expanded(folder).absolute()
    try:
        render(str(folder))  # nerfstudio prints the path as markup
    except MarkupError as error:
        raise ValueError(
            f"nerfstudio cannot print the path {folder} ({error}): choose an --output-dir without [/"
        ) from None
    try:
        try_folder(folder)
    except OSError as error:
        raise ValueError(
            f"The run's folder {folder} cannot be written ({error}): choose another --output-dir."
        ) from error


# --- trackers -----------------------------------------------------------------------------------------------------


def check_tracker(tracker: Literal["wandb", "comet"]) -> None:
    """Raises ValueError without a key of wandb's or comet's, where nobody could be asked for one."""
    if tracker == "wandb":
        import wandb

        ready = os.environ.get("WANDB_MODE", "online") != "online" or bool(wandb.api.api_key) or sys.stdin.isatty()
        way = "run `wandb login`, or set WANDB_MODE=offline"
    else:
        from comet_ml.config import get_api_key, get_config

        ready = bool(get_api_key(None, get_config()))
        way = "set COMET_API_KEY"
    if not ready:
        raise ValueError(
            f"--vis asks for {tracker}, which has no API key on this machine: {way}, or use --vis tensorboard."
        )


# --- the scene that a run starts from -----------------------------------------------------------------------------


def scene_of_file(path: Path, sh_degree: int, drop_invalid: bool) -> NamedScene:
    """What the file of a scene holds, for a model of this SH degree; without rows that are no Gaussians if these are
    to be dropped.

    Raises:
        ValueError: no such file, no 3DGS scene, of a higher degree, or with such rows.
    """
    if not path.exists():
        raise ValueError(f"--load-ply {path} does not exist; expected a 3DGS .ply file, .spz, .sog or .splat.")
    count, invalid, some = survey(path, SAMPLES)
    if invalid and not (drop_invalid and count):
        way = "add --drop-invalid True to leave them out, or export" if count else "export"
        raise ValueError(
            f"{path}: {invalid:,} of {count + invalid:,} Gaussians have NaN or infinite values: {way} the scene again."
        )
    if some.sh_degree > sh_degree:
        raise ValueError(
            f"{path} has SH degree {some.sh_degree}, the model {sh_degree}: add --pipeline.model.sh-degree "
            f"{some.sh_degree}."
        )
    return NamedScene(path, count, some)


def scene_of_checkpoint(path: Path, sh_degree: int) -> NamedScene:
    """What a checkpoint holds, for a model of this SH degree; its tensors stay on the disk.

    Raises:
        ValueError: unreadable, of a method without Gaussians, or of another degree.
    """
    state = read_checkpoint(path, mmap=True)
    model = {key.removeprefix("_model."): value for key, value in state["pipeline"].items()}
    return NamedScene(path, check_gaussians(model, sh_degree), None, int(state["step"]), state.get("method", ""))


def check_seen(scene: NamedScene, capture: Capture) -> None:
    """Raises ValueError when no training view shows anything of a .ply: it lies in other coordinates."""
    if scene.some is None or bool(capture.sees(scene.some.means).any()):
        return
    raise ValueError(
        f"None of the {len(capture.photographs)} training views shows anything of {scene.path}: it is in other "
        "coordinates than nerfstudio's. If they are the capture's own, add `nerfstudio-data --orientation-method none "
        "--center-method none --auto-scale-poses False` at the end of the command."
    )


# --- the object ---------------------------------------------------------------------------------------------------


def check_object(choice: ObjectChoice, capture: Capture, scene: NamedScene | None, device: str) -> None:
    """What is asked for as the object, against the capture and the scene (None: it is yet to be reconstructed).

    Raises:
        ValueError: it is not there, or belongs to another scene.
    """
    choice.check_views(len(capture.photographs), capture.width, capture.height)
    if choice.kind == "masks" and not capture.has_masks:
        raise ValueError(
            "--object masks: the capture has no masks. Give --pipeline.datamanager.object-masks a folder of pictures "
            "named like the photographs (white is the object), or mask_path in transforms.json."
        )
    if choice.kind == "file" and choice.file is not None:
        _check_object_file(choice.file, scene)
    if choice.kind == "text":
        # Only to see that it can be had: it takes seconds, and the reconstruction minutes.
        load_segmenter(choice.segmenter, device)


def _check_object_file(path: Path, scene: NamedScene | None) -> None:
    if scene is None:
        raise ValueError(
            f"--object-file {path} has a weight for each Gaussian of a scene, but none is named and a new one would be "
            "reconstructed: name the scene with --load-dir or --load-ply, or choose the object in another way."
        )
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ValueError(f"--object-file {path} {what}; expected a .npy or .npz of {scene.gaussians:,} weights.")
    weights = len(Selection.load(path))
    if weights != scene.gaussians:
        raise ValueError(
            f"--object-file {path} has {weights:,} weights, but {scene.path} has {scene.gaussians:,} Gaussians: it was "
            "made for another scene, or before Gaussians were added. Run `ft2s select` on this one."
        )


# --- the disk -----------------------------------------------------------------------------------------------------


def check_disk(
    folder: Path,
    gaussians: int | None,
    sh_degree: int,
    device: str,
    copies: int,
    pictures: int,
    free: int | None = None,
) -> None:
    """Compare what a run will write, by experience, with what is free; warn where it is a guess.

    Args:
        folder: of the run.
        gaussians: of the scene; None if it is yet to be reconstructed.
        copies: of the scene, on the disk at the same time.
        pictures: bytes of the pictures that are kept.
        free: bytes; None asks the disk.

    Raises:
        ValueError: a scene that is known does not fit.
    """
    count = gaussians or LIKELY_GAUSSIANS[device]
    each = 4 * (11 + 3 * (sh_degree + 1) ** 2)
    known = "" if gaussians else ", as reconstructions here usually have"
    written = (
        f"{copies} times {count:,} Gaussians of {each} bytes{known} (checkpoints, history, .ply), and "
        f"{_megabytes(pictures)} of pictures"
    )
    room = free_bytes(folder) if free is None else free
    said = too_full(folder, count * each * copies + pictures, written, room)
    if said and (gaussians or room < count * each):
        raise ValueError(said)
    if said:
        warn(said)


def free_bytes(folder: Path) -> int:
    """On the disk where a folder is, or will be."""
    return shutil.disk_usage(next(path for path in (folder, *folder.absolute().parents) if path.exists())).free


def too_full(folder: Path, needed: int, written: str, free: int) -> str:
    """That so many bytes will not fit, in words, with what they are; empty when they do."""
    if needed <= free:
        return ""
    return (
        f"Only {_megabytes(free)} are free for {folder}, and this run writes about {_megabytes(needed)}: {written}. "
        "Free some space, or choose another --output-dir."
    )


def _megabytes(size: int) -> str:
    return f"{max(1, round(size / 1e6)):,} MB"
