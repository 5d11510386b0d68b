"""nerfstudio's checkpoints: found, read and written, whole or not at all."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.engine.trainer import TrainerConfig

from fasttext2style.plugin.host.torch_compat import allow_learning_rates_in_checkpoints
from fasttext2style.scene.files.atomic import remove_left_overs, temporary_beside
from fasttext2style.trust.documents import is_number, read_document
from fasttext2style.trust.torch_files import load_torch_file

GROUPS = ("means", "scales", "quats", "features_dc", "features_rest", "opacities")
"""splatfacto's names of a scene's parameters."""


def checkpoint_path(config: TrainerConfig) -> Path | None:
    """The checkpoint that --load-dir (a run folder or its nerfstudio_models) or --load-checkpoint mean.

    Raises:
        ValueError: there is none.
    """
    if config.load_checkpoint is not None:
        if not config.load_checkpoint.is_file():
            what = "is a folder" if config.load_checkpoint.is_dir() else "does not exist"
            raise ValueError(f"--load-checkpoint {config.load_checkpoint} {what}; expected a step-*.ckpt file.")
        return config.load_checkpoint
    if config.load_dir is None:
        return None
    folder = config.load_dir
    if (folder / config.relative_model_dir).is_dir():
        folder = folder / config.relative_model_dir
    found = checkpoints_in(folder)
    if config.load_step is not None:
        found = [path for path in found if int(path.stem[5:]) == config.load_step]
    if not found:
        raise ValueError(
            f"No checkpoint step-*.ckpt in {folder}. Give --load-dir the nerfstudio_models folder of a finished run."
        )
    return found[-1]


def checkpoints_in(folder: Path) -> list[Path]:
    """Checkpoints of nerfstudio's in a folder, the newest last; copies that others named "step-000000009 (1).ckpt" are
    none."""
    return sorted(path for path in folder.glob("step-*.ckpt") if re.fullmatch("step-[0-9]+", path.stem))


def check_same_coordinates(checkpoint: Path, data: DataparserOutputs) -> None:
    """The loaded run and this one must see the capture in the same coordinates (orientation, center, scale).

    Raises:
        ValueError: they do not; what was styled would not be what the cameras see.
    """
    saved = checkpoint.parent.parent / "dataparser_transforms.json"
    if not saved.is_file():
        return
    try:
        base = read_document(saved)
        transform = torch.tensor(base["transform"], dtype=torch.float32)
        if transform.shape != (3, 4) or not is_number(base["scale"]):
            raise ValueError("expected a transform of 3 x 4 numbers and a scale")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{saved} is damaged ({error}); make it again with nerfstudio, or remove it.") from error
    if not torch.allclose(transform, data.dataparser_transform, atol=1e-4) or not math.isclose(
        base["scale"], data.dataparser_scale, rel_tol=1e-4
    ):
        raise ValueError(
            f"The run of {checkpoint} was trained in other coordinates than this one (its {saved.name} has scale "
            f"{base['scale']:.4f}, here {data.dataparser_scale:.4f}, or another rotation or center). Give the same "
            "--data and, at the end of the command, the same `nerfstudio-data` options as that run: they stand under "
            "`dataparser` in its config.yml."
        )


def read_checkpoint(path: Path, mmap: bool = False) -> dict[str, Any]:
    """Load a nerfstudio checkpoint onto the CPU; with `mmap` its tensors stay on the disk until they are looked at.

    Raises:
        ValueError: not a checkpoint, or not one of nerfstudio's.
    """
    allow_learning_rates_in_checkpoints()  # commands of ours do not come through the door that did so
    try:
        state = load_torch_file(path, mmap)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a checkpoint ({error}).") from error
    if not isinstance(state, dict) or not {"pipeline", "step"} <= state.keys():
        raise ValueError(f"{path} is no nerfstudio checkpoint: expected `pipeline` and `step` in it.")
    state["pipeline"] = {key.removeprefix("module."): value for key, value in state["pipeline"].items()}
    return state


def check_gaussians(state: Mapping[str, Any], sh_degree: int) -> int:
    """How many Gaussians the state of a model holds.

    Raises:
        ValueError: none, or of another SH degree than `sh_degree`.
    """
    tensors = {name: state.get(f"gauss_params.{name}", state.get(name)) for name in GROUPS}
    missing = [name for name in GROUPS if tensors[name] is None]
    if missing:
        raise ValueError(
            f"The checkpoint holds no Gaussians ({', '.join(missing)} missing): expected a run of splatfacto or "
            f"of fasttext2style, got one with {sorted(state)[:4]}... Give --load-dir the nerfstudio_models folder "
            "of such a run."
        )
    expected, came = (sh_degree + 1) ** 2 - 1, tensors["features_rest"].shape[1]
    if expected != came:
        degree = round((came + 1) ** 0.5) - 1
        raise ValueError(
            f"The checkpoint has {came + 1} SH coefficients per Gaussian (degree {degree}), this model "
            f"{expected + 1} (degree {sh_degree}). Add --pipeline.model.sh-degree {degree}."
        )
    return len(tensors["means"])


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Save to a temporary file, then rename: a full disk or a crash leaves what was there.

    The temporary file lies beside the checkpoint folder: nerfstudio takes every file in it for a checkpoint.

    Raises:
        ValueError: it could not be written.
    """
    temporary = temporary_beside(path.parent.with_name(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left_overs(temporary.parent)
        torch.save(state, temporary)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ValueError(
            f"The checkpoint {path} could not be written ({why}). Free some disk space; earlier files are untouched."
        ) from error
    finally:
        with suppress(OSError):  # the error that led here says more
            temporary.unlink(missing_ok=True)


def plain_numbers(value: Any) -> Any:
    """NumPy scalars to Python's, all the way down: then any torch loads the checkpoint without an allow-list."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return type(value)((key, plain_numbers(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value)(plain_numbers(item) for item in value)
    return value
