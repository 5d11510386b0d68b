"""Which Gaussians an edit may change, and how much: the object."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fasttext2style.scene.files.atomic import atomic_write
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.trust.sizes import read_arrays
from fasttext2style.trust.text import one_line
from fasttext2style.trust.typed import expanded

MARK_SAMPLES = 256
"""Gaussians whose places tell one scene from another."""
MARK_TOLERANCE = 0.05
"""How far a Gaussian may have moved, as a share of the scene's extent, and still be the same."""


@dataclass(frozen=True)
class SceneMark:
    """Where some Gaussians of a scene lie: by this a selection knows the scene that it was made for.

    Places and not colours, for those are what edits change; and most of the places only, for edits may move some.
    """

    count: int
    """Gaussians of the scene."""
    means: Float[Tensor, "samples 3"]
    """Centres of `MARK_SAMPLES` Gaussians (of all, if they are fewer) at even steps through the rows."""

    @staticmethod
    def of(gaussians: Gaussians) -> SceneMark:
        return SceneMark(len(gaussians), gaussians.means.detach()[_sample_rows(len(gaussians))].cpu())

    @property
    def extent(self) -> float:
        """Median distance from the middle; far lonely Gaussians do not stretch it."""
        if len(self.means) == 0:
            return 0.0
        return float((self.means - self.means.median(dim=0).values).norm(dim=1).median())

    def share_in_place(self, other: SceneMark) -> float:
        """Which share of the sampled Gaussians lies at the same place there, 0 if there are more or fewer in all."""
        if self.count != other.count:
            return 0.0
        moves = (other.means - self.means).norm(dim=1)
        # A trace more than none, for scenes whose Gaussians all lie at one place.
        return float((moves <= MARK_TOLERANCE * self.extent + 1e-6).float().mean()) if self.count else 1.0

    def same_scene(self, other: SceneMark) -> bool:
        """Whether most Gaussians lie where they lay."""
        return self.share_in_place(other) >= 0.5


def _sample_rows(count: int) -> Int[Tensor, " samples"]:
    # In whole numbers: rounding must not choose other rows on another machine.
    samples = min(count, MARK_SAMPLES)
    return torch.arange(samples) * count // max(1, samples)


@dataclass(frozen=True)
class Selection:
    """A weight per Gaussian: 0 may not change by one bit, 1 is edited, between them the update is scaled."""

    weights: Float[Tensor, " gaussians"]
    origin: str
    """Where it came from, for people: "box at (0, 0, 1)", "masks of 40 views"."""
    scene_mark: SceneMark | None = None
    """The scene it was made for; None if that is not known."""

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

    def for_scene(self, gaussians: Gaussians) -> Selection:
        """The same weights, marked as made for this scene.

        Raises:
            ValueError: another number of Gaussians.
        """
        replace(self, scene_mark=None).check_matches(gaussians)
        return replace(self, scene_mark=SceneMark.of(gaussians))

    def check_matches(self, scene: Gaussians | int) -> None:
        """Check that this selection belongs to a scene, or at least to one of so many Gaussians.

        Edits of colour and moves of less than half of the Gaussians are the same scene still.

        Raises:
            ValueError: another number of Gaussians, or as many of another scene.
        """
        count = scene if isinstance(scene, int) else len(scene)
        if len(self) != count:
            raise ValueError(
                f"Selection has {len(self):,} weights but the scene has {count:,} Gaussians; "
                "was it made before densification? Run `ft2s select` again on this scene."
            )
        if isinstance(scene, int) or self.scene_mark is None:
            return
        mark = SceneMark.of(scene)
        if not self.scene_mark.same_scene(mark):
            raise ValueError(
                f"This selection ({one_line(self.origin)}) was made for another scene of {count:,} Gaussians: only "
                f"{self.scene_mark.share_in_place(mark):.0%} of them lie where they lay. Run `ft2s select` on this "
                "scene, or choose the selection's own scene."
            )

    def check_usable(self) -> str | None:
        """A warning if everything is selected, None if all is well.

        Raises:
            ValueError: nothing is selected, so nothing would be edited.
        """
        if self.count == 0:
            raise ValueError(
                f"Nothing is selected ({one_line(self.origin)}: 0 of {len(self):,} Gaussians). "
                "Move or enlarge the shape, lower the threshold, or check that the masks show the object in white."
            )
        if self.count == len(self):
            origin = one_line(self.origin)
            return f"All {len(self):,} Gaussians are selected ({origin}): the edit may change the whole scene"
        return None

    def save(self, path: Path | str) -> None:
        """Write to a .npz file, atomically."""
        content = {"weights": self.weights.detach().float().cpu().numpy(), "origin": np.array(self.origin)}
        if self.scene_mark is not None:
            content["scene_means"] = self.scene_mark.means.float().numpy()
        # In memory first: on a full disk an archive complains once more, in a traceback, when it is forgotten.
        archive = io.BytesIO()
        np.savez_compressed(archive, **content)
        with atomic_write(path) as stream:
            stream.write(archive.getbuffer())

    @staticmethod
    def load(path: Path | str) -> Selection:
        """From a file of `save`, or a plain .npy of one weight (or truth value, or 0 and 1) per Gaussian.

        Raises:
            ValueError: another kind of file, or weights that are no weights.
            OSError: no such file, or a folder, in words.
        """
        path = expanded(path)
        expected = "expected a .npz of `ft2s select` or a .npy of weights"
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; {expected}.")
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; {expected}.")
        try:
            content = read_arrays(path, ("weights", "origin", "scene_means"))
        except ValueError as error:
            raise ValueError(f"{path} is no selection: {expected} ({error})") from error
        if "weights" not in content:
            raise ValueError(f"{path} is no selection: it has {sorted(content)}, not weights")
        weights, means = content["weights"], content.get("scene_means")
        origin = str(content.get("origin", path))[:1000]
        if weights.dtype.kind not in "fbiu" or weights.ndim != 1:
            raise ValueError(
                f"{path}: weights should be numbers [gaussians], got {weights.dtype} {list(weights.shape)}"
            )
        if means is not None and (means.dtype.kind not in "fiu" or means.shape != (len(_sample_rows(len(weights))), 3)):
            raise ValueError(f"{path}: scene_means should be numbers [samples, 3], got {means.dtype} {means.shape}")
        mark = None if means is None else SceneMark(len(weights), torch.from_numpy(means.astype(np.float32)))
        try:
            return Selection(torch.from_numpy(weights.astype(np.float32)), origin, mark)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
