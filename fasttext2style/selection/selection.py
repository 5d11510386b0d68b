"""Which Gaussians an edit may change, and how much: the object."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fasttext2style.scene.files import atomic_write


@dataclass(frozen=True)
class Selection:
    """A weight per Gaussian: 0 may not change by one bit, 1 is edited, between them the update is scaled."""

    weights: Float[Tensor, " gaussians"]
    origin: str
    """Where it came from, for people: "box at (0, 0, 1)", "masks of 40 views"."""

    def __post_init__(self) -> None:
        if self.weights.ndim != 1:
            raise ValueError(f"Selection weights should be [gaussians], got {list(self.weights.shape)}")
        # Written so that NaN fails too.
        if not bool(((self.weights >= 0) & (self.weights <= 1)).all()):
            outside = int((~((self.weights >= 0) & (self.weights <= 1))).sum())
            raise ValueError(f"Selection weights should lie in [0, 1]; {outside:,} of {len(self):,} do not")

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def mask(self) -> Bool[Tensor, " gaussians"]:
        """Which Gaussians may change at all."""
        return self.weights > 0

    @property
    def count(self) -> int:
        """How many Gaussians may change at all."""
        return int(self.mask.sum())

    @staticmethod
    def everything(gaussian_count: int) -> Selection:
        return Selection(torch.ones(gaussian_count), "everything")

    def check_matches(self, gaussian_count: int) -> None:
        """Raises ValueError if this selection was made for another number of Gaussians."""
        if len(self) != gaussian_count:
            raise ValueError(
                f"Selection has {len(self):,} weights but the scene has {gaussian_count:,} Gaussians; "
                "was it made before densification? Run `ft2s select` again on this scene."
            )

    def check_usable(self) -> str | None:
        """A warning if everything is selected, None if all is well.

        Raises:
            ValueError: nothing is selected, so nothing would be edited.
        """
        if self.count == 0:
            raise ValueError(
                f"Nothing is selected ({self.origin}: 0 of {len(self):,} Gaussians). "
                "Move or enlarge the shape, lower the threshold, or check that the masks show the object in white."
            )
        if self.count == len(self):
            return f"All {len(self):,} Gaussians are selected ({self.origin}): the edit may change the whole scene"
        return None

    def save(self, path: Path | str) -> None:
        """Write to a .npz file, atomically."""
        with atomic_write(path) as stream:
            np.savez_compressed(
                stream, weights=self.weights.detach().float().cpu().numpy(), origin=np.array(self.origin)
            )

    @staticmethod
    def load(path: Path | str) -> Selection:
        """From a file of `save`, or a plain .npy of one weight (or truth value, or 0 and 1) per Gaussian.

        Raises:
            ValueError: another kind of file, or weights that are no weights.
        """
        path = Path(path)
        try:
            content = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} is no selection: expected a .npz of `ft2s select` or a .npy of weights"
            ) from error
        if isinstance(content, np.ndarray):
            weights, origin = content, str(path)
        else:
            with content:
                if "weights" not in content:
                    raise ValueError(f"{path} is no selection: it has {content.files}, not weights")
                weights, origin = content["weights"], str(content.get("origin", path))
        if weights.dtype.kind not in "fbiu" or weights.ndim != 1:
            raise ValueError(
                f"{path}: weights should be numbers [gaussians], got {weights.dtype} {list(weights.shape)}"
            )
        return Selection(torch.from_numpy(weights.astype(np.float32)), origin)
