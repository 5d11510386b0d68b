"""The object at the end of a round, with its optimizers' moments and the random state, as one safetensors file.

What lies outside the object never changes and is kept once, in round 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from fasttext2style.rounds.folder import Round
from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.scene.gaussians import SPLATFACTO_NAMES, Gaussians
from fasttext2style.selection.selection import Selection
from fasttext2style.styling.editable import EditableObject


def save_snapshot(path: Path, edit: EditableObject, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
    """Write parameters, weights, optimizer states and torch's random states, whole or not at all."""
    tensors = {f"parameters.{name}": value.detach() for name, value in edit.parameters.items()}
    tensors |= {"weights": edit.weights, "grown": torch.tensor(edit.has_grown)}
    for name, optimizer in optimizers.items():
        for key, value in optimizer.state.get(edit.parameters[name], {}).items():
            tensors[f"optimizers.{name}.{key}"] = value
    tensors |= _random_states()
    save_tensors(path, tensors)


def load_object(tensors: Mapping[str, Tensor], edit: EditableObject) -> None:
    """Set the object's parameters and weights to those of a snapshot, `load_tensors` of its file.

    Raises:
        ValueError: not a snapshot, or an object that does not fit the scene.
    """
    missing = [name for name in SPLATFACTO_NAMES if f"parameters.{name}" not in tensors]
    missing += [name for name in ("weights", "grown") if name not in tensors]
    if missing:
        raise ValueError(f"This is no snapshot of a round: {', '.join(missing)} missing.")
    for name, parameter in list(edit.parameters.items()):
        value = tensors[f"parameters.{name}"]
        if value.shape[1:] != parameter.shape[1:]:
            raise ValueError(
                f"The snapshot is of another scene: {name} has shape {list(value.shape)}, here {list(parameter.shape)}."
            )
        edit.parameters[name] = nn.Parameter(value.to(parameter.device))
    if bool(tensors["grown"]):
        edit.mark_grown(tensors["weights"].to(edit.weights.device))


def load_optimizers(
    tensors: Mapping[str, Tensor], edit: EditableObject, optimizers: Mapping[str, torch.optim.Optimizer]
) -> None:
    """Give optimizers the moments of a snapshot; a group that never stepped has none."""
    for name, optimizer in optimizers.items():
        prefix, parameter = f"optimizers.{name}.", edit.parameters[name]
        # Fused Adam counts its steps on the device, others on the CPU.
        fused = bool(optimizer.param_groups[0].get("fused"))
        state = {
            key.removeprefix(prefix): value.to(parameter.device) if value.ndim or fused else value
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
        if state:
            optimizer.state[parameter] = state


def load_random_states(tensors: Mapping[str, Tensor]) -> None:
    """Torch's own generators go on where they were: densification and editors may draw from them."""
    if "random.cpu" in tensors:
        torch.set_rng_state(tensors["random.cpu"])
    for index in range(torch.cuda.device_count()):
        if f"random.cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"random.cuda.{index}"], index)


def save_scene(path: Path, scene: Gaussians, weights: Float[Tensor, " gaussians"]) -> None:
    """The whole scene before the first round, which of it is the object, and torch's random states."""
    tensors = {name: value.detach() for name, value in scene.to_splatfacto().items()}
    save_tensors(path, tensors | {"weights": weights} | _random_states())


def load_scene(path: Path) -> tuple[Gaussians, Float[Tensor, " gaussians"]]:
    """Of a file of `save_scene`.

    Raises:
        ValueError: not such a file.
    """
    tensors = load_tensors(path)
    if "weights" not in tensors:
        raise ValueError(f"{path} is no scene of a run of rounds: it holds {sorted(tensors)[:4]}.")
    return Gaussians.from_splatfacto(tensors), tensors["weights"]


def scene_of_round(rounds: Sequence[Round], number: int) -> tuple[Gaussians, Float[Tensor, " gaussians"]]:
    """The whole scene and the object's weights at the end of a complete round; round 0 is before any edit.

    Raises:
        ValueError: there is no such round, or a file of it is damaged.
    """
    if not 0 <= number < len(rounds):
        raise ValueError(f"There is no complete round {number}; there are 0 to {len(rounds) - 1}.")
    scene, weights = load_scene(rounds[0].snapshot)
    if number == 0:
        return scene, weights
    edit = EditableObject(scene, Selection(weights, "the object of the rounds"), copy_scene=False)
    load_object(load_tensors(rounds[number].snapshot), edit)
    return edit.merged(), edit.merged_weights()


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file, atomically."""
    with atomic_write(path) as stream:
        stream.write(save({name: value.cpu().contiguous() for name, value in tensors.items()}))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Of a safetensors file.

    Raises:
        ValueError: missing or damaged.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; its round cannot be gone back to.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); its round cannot be gone back to.") from error


def _random_states() -> dict[str, Tensor]:
    states = {"random.cpu": torch.get_rng_state()}
    for index in range(torch.cuda.device_count()):
        states[f"random.cuda.{index}"] = torch.cuda.get_rng_state(index)
    return states
