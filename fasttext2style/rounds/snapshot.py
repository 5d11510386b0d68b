"""A round's end as one safetensors file: the subject, its optimizers' moments and the random state.

What no round changes is kept once, in round 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from fasttext2style.rounds.subject import Subject
from fasttext2style.scene.files.atomic import atomic_write


def save_snapshot(path: Path, subject: Subject, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
    """Write what the rounds have changed, optimizer states and torch's random states, whole or not at all."""
    tensors = subject.state()
    for name, optimizer in optimizers.items():
        for key, value in optimizer.state.get(subject.parameters[name], {}).items():
            tensors[f"optimizers.{name}.{key}"] = value
    save_tensors(path, tensors | random_states())


def load_optimizers(
    tensors: Mapping[str, Tensor],
    parameters: Mapping[str, nn.Parameter],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Give optimizers the moments of a snapshot; a group that never stepped has none.

    Raises:
        ValueError: they are of another object.
    """
    for name, optimizer in optimizers.items():
        prefix, parameter = f"optimizers.{name}.", parameters[name]
        # Fused Adam counts its steps on the device, others on the CPU.
        fused = bool(optimizer.param_groups[0].get("fused"))
        state = {
            key.removeprefix(prefix): value.to(parameter.device) if value.ndim or fused else value
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
        wrong = [key for key, value in state.items() if value.ndim and value.shape != parameter.shape]
        if wrong:
            raise ValueError(f"The snapshot's {prefix}{wrong[0]} is not of the shape {list(parameter.shape)}.")
        if state:
            optimizer.state[parameter] = state


def random_states() -> dict[str, Tensor]:
    """Of torch's own generators: densification and editors may draw from them."""
    states = {"random.cpu": torch.get_rng_state()}
    for index in range(torch.cuda.device_count()):
        states[f"random.cuda.{index}"] = torch.cuda.get_rng_state(index)
    return states


def load_random_states(tensors: Mapping[str, Tensor]) -> None:
    """Let torch's own generators continue where they were.

    Raises:
        ValueError: the snapshot's state is none.
    """
    if "random.cpu" in tensors:
        state = tensors["random.cpu"]
        if state.dtype != torch.uint8 or state.shape != torch.get_rng_state().shape:
            raise ValueError(f"The snapshot's random state is {state.dtype} {list(state.shape)}, which is none.")
        torch.set_rng_state(state)
    for index in range(torch.cuda.device_count()):
        if f"random.cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"random.cuda.{index}"], index)


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
        raise ValueError(f"{path} is missing, so its round cannot be restored.")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}), so its round cannot be restored.") from error
