"""A finished (or interrupted) run on disk, opened for everything that `ft2s` does with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any, Protocol

import torch
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.models.nerfacto import NerfactoModel
from nerfstudio.pipelines.base_pipeline import VanillaPipeline
from torch import Tensor

from fasttext2style.history.steps import named_folder
from fasttext2style.plugin.host.chatter import host_is_quiet
from fasttext2style.plugin.host.checkpoints import checkpoints_in, plain_numbers, read_checkpoint, write_checkpoint
from fasttext2style.plugin.host.convert import to_scene_cameras
from fasttext2style.plugin.host.datamanager import SceneDatamanager, SceneDatamanagerConfig
from fasttext2style.plugin.host.errors import host_in_words
from fasttext2style.plugin.host.model import SceneModel
from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.trust.text import one_line
from fasttext2style.trust.typed import expanded


def open_run(path: Path, object_masks: Path | None = None) -> Run:
    """Open a run by its folder, its config.yml, or its nerfstudio_models folder; wherever it lies now.

    With `object_masks`, a folder of masks named like the photographs, its views come with these.

    Raises:
        ValueError: no such run, a run of a method without our model, or no checkpoint in it.
    """
    folder, config = read_run(path)
    if object_masks is not None:
        assert isinstance(config.pipeline.datamanager, SceneDatamanagerConfig), "other methods have no object masks"
        config.pipeline.datamanager.object_masks = object_masks
    return Run(folder, config)


def read_run(path: Path) -> tuple[Path, TrainerConfig]:
    """The folder of a run and its settings, by its folder, its config.yml, or its nerfstudio_models folder.

    Raises:
        ValueError: no such run.
    """
    path, folder = expanded(path).absolute(), named_folder(path)
    if not (folder / "config.yml").is_file():
        raise ValueError(
            f"{path} is no run: expected a folder with config.yml and nerfstudio_models, such as "
            "outputs/bear/fasttext2style/2026-01-31_120000."
        )
    return folder, read_config(folder / "config.yml")


class OpenedRun:
    """Settings, capture and newest checkpoint of a run, whatever its scene is made of.

    Raises:
        ValueError: no checkpoint, or it cannot be opened.
    """

    def __init__(self, folder: Path, config: TrainerConfig) -> None:
        self.folder, self.config = folder, config
        checkpoints = checkpoints_in(folder / config.relative_model_dir)
        if not checkpoints:
            raise ValueError(f"No checkpoint step-*.ckpt in {folder / config.relative_model_dir}; was the run stopped?")
        self.checkpoint = checkpoints[-1]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.state: dict[str, Any] = read_checkpoint(self.checkpoint)
        hint = "If its capture was changed or moved since, put it back as it was."
        with host_in_words(f"The run {folder} cannot be opened", hint), host_is_quiet():
            pipeline = config.pipeline.setup(device=self.device, test_mode="inference", world_size=1, local_rank=0)
        self.pipeline = self.accepted(pipeline)
        pipeline.eval()
        pipeline.load_pipeline(self.state["pipeline"], self.state["step"])

    def accepted(self, pipeline: Any) -> VanillaPipeline:
        """The pipeline; raises ValueError when it is none of the kind that this opens."""
        return pipeline

    @property
    def prompt(self) -> str:
        """The sentence of the run, empty for a reconstruction."""
        return self.config.pipeline.model.prompt or ""

    def cameras(self, split: str = "train") -> Cameras:
        """Views of the capture, undistorted, in the run's coordinates."""
        datamanager = self.pipeline.datamanager
        if isinstance(datamanager, SceneDatamanager):
            return datamanager.cameras(split)
        return to_scene_cameras(self._dataset(split).cameras.to(self.device))

    def photograph_names(self, split: str) -> list[str]:
        """Of the views of a split, in order."""
        return [Path(name).name for name in self._dataset(split).image_filenames]

    def _dataset(self, split: str) -> Any:
        datamanager = self.pipeline.datamanager
        return datamanager.train_dataset if split == "train" else datamanager.eval_dataset

    @contextmanager
    def next_checkpoint(self) -> Iterator[Callable[[], Path]]:
        """Yields what writes the pipeline as the run's next checkpoint, whatever else changes with it inside the block.

        When the block ends well the checkpoint that was opened goes, if the run keeps only its latest (as nerfstudio's
        runs do by default); else the new one goes.

        Raises:
            ValueError: it could not be written; what was there is untouched.
        """
        step = int(self.state["step"]) + 1
        path = self.checkpoint.with_name(f"step-{step:09d}.ckpt")

        def write() -> Path:
            # Optimizers of a scene that was changed by hand would be wrong: a later run starts them afresh.
            state = {"format": "fasttext2style-1", "step": step, "pipeline": self.pipeline.state_dict()}
            write_checkpoint(path, plain_numbers(state))
            return path

        try:
            yield write
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if path.exists():
            if self.config.save_only_latest_checkpoint:
                self.checkpoint.unlink(missing_ok=True)
            self.state, self.checkpoint = read_checkpoint(path), path


class Run(OpenedRun):
    """Scene, cameras and settings of a run."""

    def accepted(self, pipeline: Any) -> VanillaPipeline:
        if isinstance(getattr(pipeline, "model", None), NerfactoModel):
            raise ValueError(
                f"{self.folder} is a run of {one_line(str(self.config.method_name))}, a NeRF, which has no Gaussians. "
                "What takes it: ft2s rounds, evaluate and compare, and nerfstudio's ns-render, ns-eval and ns-viewer."
            )
        if not isinstance(pipeline, VanillaPipeline) or not isinstance(pipeline.model, SceneModel):
            raise ValueError(
                f"{self.folder} is a run of {one_line(str(self.config.method_name))}; expected one of fasttext2style, "
                "fasttext2style-ip2p or fasttext2style-scene. Take its scene over with: ns-train fasttext2style "
                f"--load-dir {quote(str(self.folder))} ..."
            )
        return pipeline

    @property
    def model(self) -> SceneModel:
        model = self.pipeline.model
        assert isinstance(model, SceneModel)
        return model

    @property
    def selection(self) -> Tensor:
        """[gaussians] weights of the object that the checkpoint carries; all ones when none was ever made."""
        return self.model.selection

    def gaussians(self) -> Gaussians:
        """The scene, detached."""
        return self.model.gaussians()

    def masks(self) -> Tensor | None:
        """[views, height, width] object masks of the training views, or None when the capture has none."""
        datamanager = self.pipeline.datamanager
        return datamanager.masks() if isinstance(datamanager, SceneDatamanager) else None

    def save(self, gaussians: Gaussians | None = None, selection: Tensor | None = None) -> Path:
        """As `saving`, where nothing else changes."""
        with self.saving() as save:
            return save(gaussians, selection)

    @contextmanager
    def saving(self) -> Iterator[Save]:
        """As `next_checkpoint`; what it yields takes a changed scene, too."""
        with self.next_checkpoint() as write:

            def save(gaussians: Gaussians | None = None, selection: Tensor | None = None) -> Path:
                if gaussians is not None:
                    self.model.set_gaussians(gaussians)
                if selection is not None:
                    self.model.selection = selection.to(self.model.device)
                return write()

            yield save


class Save(Protocol):
    """Writes a scene, or that of the model, with the object's weights; returns the file."""

    def __call__(self, gaussians: Gaussians | None = None, selection: Tensor | None = None) -> Path: ...
