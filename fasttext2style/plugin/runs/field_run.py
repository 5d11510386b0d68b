"""A run of fasttext2style-nerf on disk: its NeRF before and after the rounds, and what its cameras see of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from nerfstudio.engine.trainer import TrainerConfig
from torch import Tensor

from fasttext2style.evaluation.edit import Sight
from fasttext2style.evaluation.evaluate import Sights
from fasttext2style.evaluation.looks import camera_path
from fasttext2style.evaluation.seen import Seen
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.plugin.nerf.field import NerfactoField, pictures
from fasttext2style.plugin.nerf.pipeline import NerfPipeline
from fasttext2style.plugin.nerf.trainer import NerfTrainerConfig
from fasttext2style.plugin.runs.run import OpenedRun, Run, read_run
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.scene.cameras import Cameras, evenly_spread
from fasttext2style.terminal.console import say


def open_any_run(path: Path) -> Run | FieldRun:
    """As `open_run`; also a run of fasttext2style-nerf.

    Raises:
        ValueError: no such run, or a NeRF in which nothing was edited yet.
    """
    folder, config = read_run(path)
    return FieldRun(folder, config) if isinstance(config, NerfTrainerConfig) else Run(folder, config)


class FieldRun(OpenedRun):
    """A NeRF that was edited in rounds.

    Raises:
        ValueError: nothing was edited yet, or it cannot be opened.
    """

    config: NerfTrainerConfig
    pipeline: NerfPipeline

    def __init__(self, folder: Path, config: TrainerConfig) -> None:
        self.rounds = RoundsFolder(folder / "rounds").rounds()
        if not self.rounds:
            raise ValueError(f"In {folder} no NeRF was edited yet: there are no complete rounds.")
        super().__init__(folder, config)

    def sights(
        self, split: str, at_most: int, path_seconds: float, encoders: Sequence[TextImageEncoder] = ()
    ) -> Sights:
        """What views of a split, and a path through the training views, see before and after; whole pictures count as
        the object where nothing tells what it is."""
        masks, data = self.config.pipeline.masks, self.pipeline.datamanager
        every, path = self.cameras(split), camera_path(self.cameras("train"), path_seconds)
        views, held_out = every.evenly(at_most), masks.masks(data, split)
        if split == "train" and held_out is None:
            held_out = load_tensors(self.rounds[0].snapshot).get("masks")
        if held_out is None and data.config.object_masks is not None:
            say("Files have masks of the training views only: whole pictures are measured; --split train takes those.")
        coverage = None if held_out is None else held_out[evenly_spread(len(every), at_most)][..., 0].float() / 255
        along = masks.of_run(data, path)
        now = [self._sight(views, coverage), self._sight(path, along)]
        field = NerfactoField(self.pipeline.model, self.cameras("train"))
        after = field.state()
        field.load_state(load_tensors(self.rounds[0].snapshot))
        before = [self._sight(views, coverage), self._sight(path, along)]
        field.load_state(after)
        return Sights(*(Seen.of(*pair, encoders) for pair in zip(before, now)))

    def targets_seen(self, cameras: Cameras, views: list[int]) -> Sight:
        """The training views of some targets, as they are now."""
        masks = load_tensors(self.rounds[0].snapshot).get("masks")
        coverage = None if masks is None else masks[views][..., 0].float() / 255
        return self._sight(cameras, coverage)

    @contextmanager
    def setting_back(self, number: int) -> Iterator[None]:
        """The NeRF as it was at the end of a round becomes the run's next checkpoint, when the block ends well."""
        NerfactoField(self.pipeline.model, self.cameras("train")).load_state(load_tensors(self.rounds[number].snapshot))
        with self.next_checkpoint() as write:
            write()
            yield

    def _sight(self, cameras: Cameras, coverage: Tensor | None) -> Sight:
        shown = pictures(self.pipeline.model, cameras, with_depth=True).to(self.device)
        images, depths = shown[..., :3], shown[..., 3]
        whole = torch.ones_like(depths) if coverage is None else coverage.to(self.device)
        return Sight(cameras.to(self.device), images, whole, depths)
