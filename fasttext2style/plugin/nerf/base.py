"""The run that an edit of a NeRF starts from: its model's own settings, and whether it belongs to the capture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nerfstudio.models.nerfacto import NerfactoModelConfig
from nerfstudio.utils.external import TCNN_EXISTS

from fasttext2style.plugin.host.old_runs import KNOWN
from fasttext2style.plugin.nerf.model import NerfModelConfig
from fasttext2style.trust.documents import read_yaml_text
from fasttext2style.trust.objects import load_objects

_OURS = ("_target", "prompt", "eval_num_rays_per_chunk", "implementation")


def base_settings(checkpoint: Path, state: Mapping[str, Any], model: NerfModelConfig) -> NerfModelConfig:
    """The settings of the model whose weights these are, by its run's config.yml.

    `average_init_density` among them, which is a factor in every density: nerfacto's runs have 0.01, its class 1.0.

    Raises:
        ValueError: no run beside the checkpoint, one of another model, or one that needs tiny-cuda-nn where it is not.
    """
    path = checkpoint.parent.parent / "config.yml"
    if not path.is_file():
        raise ValueError(
            f"{checkpoint} lies in no run: expected {path} with the settings of its model, without which its weights "
            "mean nothing. Give --load-dir the folder of a whole run of nerfacto."
        )
    try:
        # Of the other settings none matters, and some name functions, which are not read here.
        text = read_yaml_text(path)
        base, method = (load_objects(text, KNOWN, at) for at in (("pipeline", "model"), ("method_name",)))
    except (ValueError, OSError) as error:
        raise ValueError(f"The model's settings in {path} cannot be read: {error}.") from error
    if not isinstance(base, NerfactoModelConfig):
        raise ValueError(
            f"{path.parent} is a run of {method}; expected one of nerfacto or fasttext2style-nerf. For "
            "Gaussians there is ns-train fasttext2style-ip2p."
        )
    names = [name for name in state if name.startswith(("field.", "_model.field."))]
    if not names:
        raise ValueError(f"{checkpoint} holds no field, got {sorted(state)[:3]}: expected a checkpoint of nerfacto.")
    # By the weights, not by the settings: nerfstudio takes torch where tiny-cuda-nn is missing, whatever they say.
    in_torch = any(name.endswith("hash_table") for name in names)
    if not in_torch and not TCNN_EXISTS:
        raise ValueError(
            f"{checkpoint} was trained with tiny-cuda-nn, which lays its weights out in its own way and is not "
            "installed here. Install it, or train the base run with --pipeline.model.implementation torch."
        )
    own = {it.name: getattr(base, it.name) for it in fields(NerfactoModelConfig) if it.name not in _OURS}
    return replace(model, **own, implementation="torch" if in_torch else "tcnn")


def check_views(checkpoint: Path, state: Mapping[str, Any], photographs: int) -> None:
    """Raises ValueError when the base run had another number of training views: it knows each by its place."""
    per_view = ("field.embedding_appearance.embedding.weight", "camera_optimizer.pose_adjustment")
    for name in per_view:
        known = state.get(f"_model.{name}")
        if known is not None and len(known) != photographs:
            raise ValueError(
                f"The run of {checkpoint} was trained on {len(known)} photographs, this one has {photographs} for "
                "training. Give the same --data and, at the end of the command, the same `nerfstudio-data` options as "
                "that run: they stand under `dataparser` in its config.yml."
            )
