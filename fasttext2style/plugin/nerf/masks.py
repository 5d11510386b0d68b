"""What of each view is edited: by the object of a run of Gaussians, by a text, or by mask files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from fasttext2style.evaluation.looks import object_coverage
from fasttext2style.plugin.host.checkpoints import check_same_coordinates, checkpoints_in, read_checkpoint
from fasttext2style.plugin.host.datamanager import SceneDatamanager
from fasttext2style.rounds.views import to_bytes
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.choice import SEGMENTER
from fasttext2style.selection.segmenters.load import load_segmenter


@dataclass
class MaskConfig:
    """Where pictures may change. Nothing given: everywhere. Files of masks: --pipeline.datamanager.object-masks."""

    run: Annotated[Path | None, tyro.conf.arg(aliases=["--mask-run"])] = None
    """A run of ours of the same capture, made of Gaussians: its object (ft2s select RUN) is edited."""
    text: Annotated[str, tyro.conf.arg(aliases=["--mask-text"])] = ""
    """What is edited, in words, found in each photograph by the segmenter."""
    segmenter: Annotated[str, SEGMENTER] = "encoder"
    """What finds it: "encoder" (the embedded one, rough, needs no download), or as in `ft2s select --by text`."""

    def check(self, object_masks: Path | None) -> None:
        """Raises ValueError for more than one answer, and for a run that is none."""
        if sum([self.run is not None, bool(self.text), object_masks is not None]) > 1:
            raise ValueError(
                "--mask-run, --mask-text and --pipeline.datamanager.object-masks each say what is edited: give one."
            )
        if self.run is not None:
            self._checkpoint()

    @property
    def origin(self) -> str:
        """In words, for reports."""
        if self.run is not None:
            return f"the object of {self.run}"
        return f'"{self.text}", by {self.segmenter}' if self.text else ""

    def masks(self, data: SceneDatamanager, split: str) -> UInt8[Tensor, "views height width 1"] | None:
        """Of the views of a split; None: everything, or unknown (files have masks of the training views only).

        Raises:
            ValueError: nothing is found, or a run of another capture, or one without an object.
        """
        if self.run is not None:
            coverage = self.of_run(data, data.cameras(split))
            return None if coverage is None else to_bytes(coverage)[..., None]
        if self.text:
            device = str(data.device)
            photographs = data.photographs(split).float() / 255
            found = load_segmenter(self.segmenter, device).masks(photographs.to(device), self.text)
            if not bool((found > 0.5).any()):
                raise ValueError(f"{self.segmenter} finds no {self.text!r} in any of the {len(found)} views.")
            return to_bytes(found)[..., None]
        files = data.masks() if split == "train" and data.config.object_masks is not None else None
        return None if files is None else to_bytes(files.float())[..., None]

    def of_run(self, data: SceneDatamanager, cameras: Cameras) -> Float[Tensor, "views height width"] | None:
        """What any cameras see of the object of `run`, on the CPU; None without one.

        Raises:
            ValueError: it is a run of another capture, or without an object.
        """
        if self.run is None:
            return None
        path, device = self._checkpoint(), str(data.device)
        check_same_coordinates(path, data.train_dataparser_outputs)
        state = read_checkpoint(path)["pipeline"]
        scene, weights = Gaussians.from_checkpoint(state), state["_model.selection"]
        return object_coverage(scene.to(device), weights.to(device), cameras)

    def _checkpoint(self) -> Path:
        assert self.run is not None
        folder = self.run / "nerfstudio_models" if (self.run / "nerfstudio_models").is_dir() else self.run
        found = checkpoints_in(folder)
        if not found:
            raise ValueError(f"--mask-run {self.run} is no run: there is no checkpoint step-*.ckpt in {folder}.")
        selection = read_checkpoint(found[-1], mmap=True)["pipeline"].get("_model.selection")
        if selection is None or bool((selection == 1).all()):
            raise ValueError(
                f"--mask-run {self.run} has no object: choose one with ft2s select, in a run of fasttext2style, "
                "fasttext2style-ip2p or fasttext2style-scene."
            )
        return found[-1]
