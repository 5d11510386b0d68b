"""Files of `torch.save` that anybody may have written: no code in them runs, and no tensor outgrows its file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fasttext2style.trust.sizes import is_endless


def load_torch_file(path: Path, mmap: bool = False) -> Any:
    """What `torch.load` makes of it on the CPU: tensors, numbers and text; with `mmap` tensors stay on the disk.

    Raises:
        ValueError: missing, damaged, of a kind that holds more than that, or with tensors that are larger than the
            file (unpacked, or one value under many names); a reason without the file's name.
    """
    try:
        if is_endless(path):
            raise ValueError("it is no file, but a pipe or a device")
        size = path.stat().st_size
        _check_stored(path, size)
        is_archive = zipfile.is_zipfile(path)
        if not is_archive:
            _check_old_format(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and is_archive)
        for tensor in _tensors_in(state):
            _check_dense(tensor, size)
    except Exception as error:  # a damaged file fails in as many ways as there are damages
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(reason if type(error) is ValueError else f"{type(error).__name__}: {reason}") from error
    return state


def _check_old_format(path: Path) -> None:
    """torch itself would take anything for a pickle, and tell how to run what it holds."""
    with open(path, "rb") as stream:
        start = stream.read(20)
    if start.startswith(b"PK"):
        raise ValueError("it is cut short, or damaged")
    if not start.startswith(b"\x80"):
        raise ValueError(f"torch.save wrote no file that begins with {start!r}" if start else "it is empty")


def _check_stored(path: Path, size: int) -> None:
    """torch stores what it saves as it is; what somebody has packed it would unpack without a limit."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        promised = sum(entry.file_size for entry in archive.infolist())
    if promised > size:
        raise ValueError(f"it promises {promised:,} bytes, and has {size:,}")


def _check_dense(tensor: Tensor, size: int) -> None:
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise ValueError(f"it holds a tensor that is {tensor.layout} on {tensor.device}, expected plain numbers")
    needed = tensor.numel() * tensor.element_size()
    if needed > size:
        raise ValueError(f"it promises {list(tensor.shape)} values, {needed:,} bytes, and has {size:,}")


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _tensors_in(entry)
    elif isinstance(value, list | tuple | set):
        for entry in value:
            yield from _tensors_in(entry)
