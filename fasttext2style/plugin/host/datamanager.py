"""Photographs and cameras of a capture, checked before anything else is done, and small enough for the machine."""

from __future__ import annotations

import math
import random
import sys
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from nerfstudio.cameras.cameras import Cameras as HostCameras
from nerfstudio.cameras.cameras import CameraType
from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanager, FullImageDatamanagerConfig
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs

from fasttext2style.captures.masks import masks_of
from fasttext2style.captures.photographs import on_background, pillow_is_quiet
from fasttext2style.plugin.host.chatter import host_is_quiet, rich_is_quiet
from fasttext2style.plugin.host.convert import to_scene_cameras
from fasttext2style.plugin.host.data_parser import with_our_parser
from fasttext2style.plugin.host.dataset import SceneDataset
from fasttext2style.plugin.host.errors import host_in_words
from fasttext2style.plugin.host.host_commands import check_command, needs_two_views
from fasttext2style.scene.cameras import Cameras
from fasttext2style.terminal.console import console, errors_in_words, say

SMALLEST_SIDE = 16
"""Longest side of views that are worth training, in pixels."""


@dataclass
class SceneDatamanagerConfig(FullImageDatamanagerConfig):
    """nerfstudio's full-image data manager with a size limit."""

    _target: type = field(default_factory=lambda: SceneDatamanager)
    cache_images: Literal["cpu", "gpu"] = "cpu"
    """Where the photographs wait. On the GPU, nerfstudio's default, 300 of 1920 x 1080 take 1.7 GiB, and one at a time
    is trained on."""
    max_image_size: int = 0
    """Longest side of the training views, in pixels; larger photographs are scaled down. 0 chooses: 256 on a CPU, no
    limit on CUDA."""
    object_masks: Path | None = None
    """Folder of masks of the object (white), named like the photographs with any picture ending. They choose the
    object and do not limit the reconstruction, as mask_path in transforms.json does in nerfstudio."""

    def longest_side(self, device_type: str) -> int:
        """Longest side of the views in pixels, 0 for no limit."""
        return self.max_image_size or (256 if device_type == "cpu" else 0)

    def check(self) -> None:
        """Raises ValueError for a size of which nothing could be trained or filmed."""
        if self.max_image_size and self.max_image_size < SMALLEST_SIDE:
            raise ValueError(
                f"--pipeline.datamanager.max-image-size is 0 (chosen) or {SMALLEST_SIDE} pixels or more, got "
                f"{self.max_image_size}."
            )
        if not 0 < self.camera_res_scale_factor < math.inf:
            raise ValueError(
                "--pipeline.datamanager.camera-res-scale-factor is a finite number above 0, got "
                f"{self.camera_res_scale_factor}."
            )

    def setup(self, **kwargs) -> SceneDatamanager:
        """Also under ns-render and its kin, which would show a traceback."""
        with errors_in_words():
            check_command(sys.argv)
            datamanager = super().setup(**kwargs)
            if needs_two_views(sys.argv) and len(datamanager.eval_dataset) < 2:
                raise ValueError(
                    f"{self.data} has one held-out view, and ns-render interpolate goes from one to the next: add "
                    "--pose-source train."
                )
            return datamanager


class SceneDatamanager(FullImageDatamanager[SceneDataset]):
    """Full images and their cameras, at most `max_image_size` large."""

    config: SceneDatamanagerConfig

    def __init__(self, config: SceneDatamanagerConfig, device: torch.device | str = "cpu", **kwargs) -> None:
        config = copy(config)
        config.dataparser = with_our_parser(config.dataparser)
        super().__init__(config, device=device, **kwargs)

    def create_train_dataset(self) -> SceneDataset:
        outputs = self.train_dataparser_outputs
        if self.config.object_masks is not None:
            outputs.mask_filenames = masks_of(self.config.object_masks, outputs.image_filenames)
        dataset = self._dataset(outputs)
        longest, trained = max(map(max, dataset.sizes)), max(map(max, dataset.scaled))
        if trained < longest:
            say(
                f"Views are scaled from {longest} to {trained} pixels: --pipeline.datamanager.max-image-size changes it"
            )
        return dataset

    def create_eval_dataset(self) -> SceneDataset:
        return self._dataset(self.dataparser.get_dataparser_outputs(split=self.test_split))

    def _dataset(self, outputs: DataparserOutputs) -> SceneDataset:
        longest = self.config.longest_side(torch.device(self.device).type)
        return SceneDataset(outputs, self.config.camera_res_scale_factor, longest)

    def _load_images(self, split: Literal["train", "eval"], cache_images_device: Literal["cpu", "gpu"]) -> list:
        dataset = self.train_dataset if split == "train" else self.eval_dataset
        doing = f"The photographs of {self.config.data} cannot be undistorted and kept"
        hint = "Are they distorted as transforms.json says? `colmap image_undistorter` leaves nothing to undistort."
        # A bar that vanishes on a terminal; in a log an empty line.
        bar = nullcontext() if console.is_terminal else rich_is_quiet()
        with host_in_words(doing, hint), host_is_quiet(), pillow_is_quiet(), bar:
            # "cpu" pins memory, for which there has to be a GPU.
            on_cuda = torch.device(self.device).type == "cuda"
            entries = super()._load_images(split, cache_images_device if on_cuda else "gpu")
        # They are undistorted now, and the host goes on calling the lens of some a fisheye.
        for cameras in (dataset.cameras, self.train_cameras):
            cameras.camera_type.fill_(CameraType.PERSPECTIVE.value)
        return entries

    def next_train(self, step: int) -> tuple[HostCameras, dict]:
        """The view of a step: all views once per epoch, in an order drawn from the seed and the epoch.

        nerfstudio's own order depends on what was drawn before; this one is the same in a resumed run.
        """
        epoch, position = divmod(step, len(self.train_dataset))
        order = list(range(len(self.train_dataset)))
        random.Random(self.config.train_cameras_sampling_seed + epoch).shuffle(order)
        self.train_unseen_cameras = [order[position], *order]
        camera, data = super().next_train(step)
        if self.config.object_masks is not None:
            # The object's masks: the rest of the photograph is as good to learn from.
            data.pop("mask", None)
        return camera, data

    def cameras(self, split: str) -> Cameras:
        """Undistorted cameras of a split ("train" or "eval"), all framed in their most common size."""
        dataset = self.train_dataset if split == "train" else self.eval_dataset
        # Reading the photographs undistorts them and rewrites the dataset's cameras: that comes first.
        _ = self.cached_train if split == "train" else self.cached_eval
        return to_scene_cameras(dataset.cameras.to(self.device))

    def masks(self) -> torch.Tensor | None:
        """[views, height, width] where the training views show the object, on the CPU, framed as `cameras`, or None
        when the capture has no masks. What a smaller photograph does not show is no object."""
        cameras = self.cameras("train")
        entries = self.cached_train
        if not entries or "mask" not in entries[0]:
            return None
        return torch.stack([_framed(entry["mask"].cpu(), cameras)[..., 0].bool() for entry in entries])

    def photographs(
        self, split: str = "train", background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> torch.Tensor:
        """[views, height, width, 3] photographs of a split as 8 bits on the CPU, framed as `cameras`.

        Larger ones lose pixels at their right and lower edges, smaller ones are black there; what is transparent has
        the colour of the background, which is in [0, 1].
        """
        cameras = self.cameras(split)
        entries = self.cached_train if split == "train" else self.cached_eval
        pictures = torch.empty(len(entries), cameras.height, cameras.width, 3, dtype=torch.uint8)
        for entry, picture in zip(entries, pictures):
            cached = entry["image"]
            picture.copy_(_framed(torch.from_numpy(on_background(as_bytes(cached).numpy(), background)), cameras))
            if cached.device == picture.device and cached.dtype == picture.dtype and cached.shape == picture.shape:
                entry["image"] = picture  # it is there once, not twice
        return pictures

    def held_out_masks(self) -> torch.Tensor:
        """[views, height, width] where training would look at the held-out photographs, framed as `cameras`.

        Everywhere inside a photograph, or where the capture's own mask is (mask_path in transforms.json).
        """
        cameras = self.cameras("eval")
        masks = [entry.get("mask", torch.ones_like(entry["image"][..., :1])) for entry in self.cached_eval]
        return torch.cat([_framed(mask, cameras) for mask in masks], dim=-1).movedim(-1, 0).float().cpu()


def as_bytes(image: torch.Tensor) -> torch.Tensor:
    """[height, width, channels] of the data manager as 8 bits on the CPU."""
    image = image.cpu()
    return image if image.dtype == torch.uint8 else (image.clamp(0, 1) * 255).round().to(torch.uint8)


def _framed(picture: torch.Tensor, cameras: Cameras) -> torch.Tensor:
    """[height, width, channels] of any size in the frame of the cameras: cut off, or filled up with 0."""
    framed = picture.new_zeros(cameras.height, cameras.width, picture.shape[-1])
    part = picture[: cameras.height, : cameras.width]
    framed[: part.shape[0], : part.shape[1]] = part
    return framed
