"""A LoRA (Hu et al. 2021) on a UNet that is being trained: added by peft, written as diffusers reads it."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fasttext2style.scene.files.atomic import atomic_write, temporary_beside

NAME = "tuned"
"""Of the adapter, inside the network."""
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
MATRICES = ("lora_A", "lora_B", "lora_down", "lora_up", "lora.down", "lora.up")
"""Of which a LoRA consists, under the names that they go by in files and networks."""
CONVOLUTIONS = ("conv_in", "conv1", "conv2", "conv_out", "proj_in", "proj_out")


def add_lora(unet: Any, rank: int, seed: int, targets: tuple[str, ...] = ATTENTION) -> list[nn.Parameter]:
    """Its parameters, in fp32: the network computes as before until they are trained, and nothing else of it trains.

    Raises:
        ValueError: a rank below 1, or a LoRA that is there already: two could not be told apart in the file.
    """
    from peft import LoraConfig

    if rank < 1:
        raise ValueError(f"A LoRA has a rank of at least 1, got {rank}")
    if getattr(unet, "peft_config", None):
        raise ValueError("The editor was loaded with a LoRA. Tune it without, or save a model that contains the LoRA.")
    unet.requires_grad_(False)
    # peft draws from torch's own generator. Alpha is the rank: files in which they differ and that do not say so are
    # read with the wrong strength.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets)), adapter_name=NAME)
    parameters = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.data = parameter.data.float()
    return parameters


@contextmanager
def without_lora(unet: Any) -> Iterator[None]:
    """Within: the network as it was before its LoRA."""
    unet.disable_adapters()
    try:
        yield
    finally:
        unet.enable_adapters()


def lora_state(unet: Any) -> dict[str, Tensor]:
    """Copies of the LoRA's weights by name."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(unet, adapter_name=NAME)
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def load_lora_state(unet: Any, state: dict[str, Tensor]) -> None:
    """What `lora_state` told.

    Raises:
        ValueError: weights of another network or rank.
    """
    from peft import set_peft_model_state_dict

    expected = lora_state(unet)
    wrong = sorted(set(expected) ^ set(state)) or sorted(
        name for name in expected if expected[name].shape != state[name].shape
    )
    if wrong:
        raise ValueError(
            f"These weights belong to a LoRA of another network or rank ({wrong[0]} and {len(wrong)} in all)"
        )
    set_peft_model_state_dict(unet, state, adapter_name=NAME)


def save_lora(path: Path, pipeline: Any) -> None:
    """Write the LoRA of a pipeline's UNet as one file, which `pipeline.load_lora_weights(path)` takes; atomically.

    Raises:
        OSError: it cannot be written; the old one is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = pipeline.unet.peft_config[NAME].to_dict()
    # Sets have another order in every process, and so would the file's bytes.
    metadata = {key: sorted(value) if isinstance(value, set) else value for key, value in metadata.items()}
    folder = temporary_beside(path)
    try:
        type(pipeline).save_lora_weights(
            folder,
            # By peft's names. diffusers' older ones are for attention alone, and of a file that has both half is lost.
            unet_lora_layers=lora_state(pipeline.unet),
            unet_lora_adapter_metadata=metadata,
            weight_name=path.name,
        )
        content = _in_order((folder / path.name).read_bytes())
    except SafetensorError as error:
        raise OSError(errno.EIO, str(error), str(path)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with atomic_write(path) as stream:
        stream.write(content)


def _in_order(content: bytes) -> bytes:
    """A .safetensors file with its head in alphabetical order: the library writes it in another one each time."""
    start = 8 + int.from_bytes(content[:8], "little")
    head = json.dumps(json.loads(content[8:start]), sort_keys=True, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + content[start:]


def tensors_of_file(path: str) -> int | None:
    """How many matrices a LoRA file has, or a folder with one; None for files that are no .safetensors."""
    place = Path(path)
    files = sorted(place.glob("*.safetensors")) if place.is_dir() else [place]
    if len(files) != 1 or files[0].suffix != ".safetensors":
        return None
    with safe_open(files[0], "pt") as opened:
        return sum(any(part in name for part in MATRICES) for name in opened.keys())  # noqa: SIM118


def tensors_in_network(pipeline: Any, adapter: str) -> int:
    """How many matrices of an adapter the networks of a pipeline hold."""
    networks = [network for network in pipeline.components.values() if isinstance(network, nn.Module)]
    names = [name for network in networks for name, _ in network.named_parameters()]
    return sum(f".{adapter}." in name and any(part in name for part in MATRICES) for name in names)


def lora_digests(paths: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of LoRA files, by path as it was given; of a folder, of all its .safetensors in order."""
    digests = {}
    for path in paths:
        place, digest = Path(path), hashlib.sha256()
        files = sorted(place.rglob("*.safetensors")) if place.is_dir() else [place]
        if files and all(file.is_file() for file in files):
            for file in files:
                with open(file, "rb") as stream:
                    while block := stream.read(1 << 20):
                        digest.update(block)
            digests[path] = digest.hexdigest()
    return digests
