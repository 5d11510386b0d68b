"""A run of fasttext2style-nerf on disk: its NeRF before and after the rounds, and what its cameras see of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fasttext2style.evaluation.edit import Sight
from fasttext2style.evaluation.evaluate import Sights
from fasttext2style.evaluation.looks import camera_path
from fasttext2style.evaluation.seen import Seen
from fasttext2style.guidance.encoder import TextImageEncoder
from fasttext2style.plugin.host.chatter import host_is_quiet
from fasttext2style.plugin.host.checkpoints import checkpoints_in, plain_numbers, read_checkpoint, write_checkpoint
from fasttext2style.plugin.host.errors import host_in_words
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.plugin.nerf.field import NerfactoField, pictures
from fasttext2style.plugin.nerf.pipeline import NerfPipeline
from fasttext2style.plugin.nerf.trainer import NerfTrainerConfig
from fasttext2style.rounds.folder import RoundsFolder
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.scene.cameras import Cameras, evenly_spread
from fasttext2style.terminal.console import say


def is_field_run(path: Path) -> bool:
    """Whether a run's folder, config.yml or nerfstudio_models belongs to fasttext2style-nerf."""
    path = Path(path).expanduser().absolute()
    config = (path.parent if path.name in ("config.yml", "nerfstudio_models") else path) / "config.yml"
    return config.is_file() and isinstance(read_config(config), NerfTrainerConfig)


class FieldRun:
    """A NeRF that was edited in rounds.

    Raises:
        ValueError: no such run, or one in which nothing was edited yet.
    """

    def __init__(self, path: Path) -> None:
        path = Path(path).expanduser().absolute()
        self.folder = path.parent if path.name in ("config.yml", "nerfstudio_models") else path
        config = read_config(self.folder / "config.yml")
        assert isinstance(config, NerfTrainerConfig), "is_field_run() tells"
        self.config, self.rounds = config, RoundsFolder(self.folder / "rounds").rounds()
        checkpoints = checkpoints_in(self.folder / config.relative_model_dir)
        if not self.rounds or not checkpoints:
            raise ValueError(f"In {self.folder} no NeRF was edited yet: there are no complete rounds.")
        self.checkpoint = checkpoints[-1]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        hint = "If its capture was changed or moved since, put it back as it was."
        with host_in_words(f"The run {self.folder} cannot be opened", hint), host_is_quiet():
            pipeline: Any = config.pipeline.setup(device=self.device, test_mode="inference", world_size=1, local_rank=0)
        self.pipeline: NerfPipeline = pipeline
        self.state = read_checkpoint(self.checkpoint)
        pipeline.eval()
        pipeline.load_pipeline(self.state["pipeline"], self.state["step"])

    @property
    def prompt(self) -> str:
        return self.config.pipeline.prompt

    def cameras(self, split: str = "train") -> Cameras:
        """Views of the capture, undistorted, in the run's coordinates."""
        return self.pipeline.datamanager.cameras(split)

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
        """The NeRF as it was at the end of a round becomes the run's next checkpoint; when the block ends well the one
        that was opened goes, else the new one."""
        field = NerfactoField(self.pipeline.model, self.cameras("train"))
        field.load_state(load_tensors(self.rounds[number].snapshot))
        step = int(self.state["step"]) + 1
        state = {"format": "fasttext2style-1", "step": step, "pipeline": self.pipeline.state_dict()}
        path = self.checkpoint.with_name(f"step-{step:09d}.ckpt")
        write_checkpoint(path, plain_numbers(state))
        try:
            yield
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if self.config.save_only_latest_checkpoint:
            self.checkpoint.unlink(missing_ok=True)

    def _sight(self, cameras: Cameras, coverage: Tensor | None) -> Sight:
        shown = pictures(self.pipeline.model, cameras, with_depth=True).to(self.device)
        images, depths = shown[..., :3], shown[..., 3]
        whole = torch.ones_like(depths) if coverage is None else coverage.to(self.device)
        return Sight(cameras.to(self.device), images, whole, depths)
