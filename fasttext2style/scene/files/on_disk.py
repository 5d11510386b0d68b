"""A scene in a file, looked at some rows at a time: two of millions of Gaussians are compared without being held.

Read are 3DGS .ply files, checkpoints of nerfstudio (step-*.ckpt, splatfacto's and ours), and .safetensors of a scene
under splatfacto's names (round 0 of a run of rounds).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fasttext2style.scene.files.ply import gaussians_of_vertices, map_vertices
from fasttext2style.scene.gaussians import SPLATFACTO_NAMES, Gaussians
from fasttext2style.trust.sizes import check_is_file
from fasttext2style.trust.torch_files import load_torch_file


class SceneOnDisk:
    """Gaussians of a file, as they are loaded from it: 32 bit floats, colours as spherical harmonics.

    Unlike a scene that is loaded it may hold NaN and infinite values: they are what one may be looking for. The file is
    mapped into memory only while rows are read.

    Raises:
        ValueError: missing, cut short, or no scene in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f"{self.path} is gone.")
        self._ascii = None
        if self._is_ply:
            vertices = map_vertices(self.path)
            # Ascii is parsed once: there are no rows in it to jump to.
            self._ascii = None if isinstance(vertices, np.memmap) else vertices
            self._count = len(vertices)
        else:
            means = self.entry("means")
            if means is None:
                raise ValueError(f"There are no Gaussians in {self.path}.")
            self._count = len(means)
        self.sh_degree = self.subset(torch.zeros(0, dtype=torch.long)).sh_degree

    def __len__(self) -> int:
        return self._count

    def subset(self, index: Int[Tensor, " chosen"]) -> Gaussians:
        """Some of the Gaussians, by row numbers."""
        if self._is_ply:
            vertices = map_vertices(self.path) if self._ascii is None else self._ascii
            return gaussians_of_vertices(np.asarray(vertices[index.numpy()]), self.path)
        entries = {
            key: value[index] if _last(key) in SPLATFACTO_NAMES else value
            for key, value in self._entries().items()
            if _last(key) in (*SPLATFACTO_NAMES, "selection")
        }
        rows = Gaussians.from_checkpoint(entries, allow_invalid=True)
        return Gaussians(**{field.name: getattr(rows, field.name).float() for field in fields(rows)})

    def entry(self, name: str) -> Tensor | None:
        """A copy of a tensor beside the Gaussians, by the last part of its name; None if it is not there."""
        if self._is_ply:
            return None
        found = [value for key, value in self._entries().items() if _last(key) == name]
        return found[0].clone() if found else None

    @property
    def weights(self) -> Float[Tensor, " gaussians"]:
        """Of the object, as a checkpoint of ours or round 0 keeps them.

        Raises:
            ValueError: this file has none.
        """
        for name in ("selection", "weights"):
            weights = self.entry(name)
            if weights is not None and len(weights) == len(self):
                return weights.float()
        raise ValueError(f"{self.path} does not say which of its Gaussians are the object.")

    @property
    def _is_ply(self) -> bool:
        return self.path.suffix == ".ply"

    def _entries(self) -> Mapping[str, Tensor]:
        """Tensors of the file; not those of the object before its last edit, which have the same names."""
        if self.path.suffix == ".safetensors":
            check_is_file(self.path)
            try:
                with safe_open(self.path, "pt") as opened:
                    return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            except (OSError, SafetensorError) as error:
                raise ValueError(f"{self.path} cannot be read as a scene ({error}).") from error
        try:
            state = load_torch_file(self.path, mmap=True)
        except ValueError as error:
            raise ValueError(f"{self.path} cannot be read as a checkpoint ({error}).") from error
        if not isinstance(state, dict) or not isinstance(state.get("pipeline"), dict):
            raise ValueError(f"{self.path} is no nerfstudio checkpoint: expected `pipeline` in it.")
        entries = state["pipeline"].items()
        return {key: value for key, value in entries if isinstance(value, Tensor) and ".earlier." not in key}


def _last(key: str) -> str:
    return key.rpartition(".")[2]
