"""Photographs and cameras of a capture, checked before anything else is done, and small enough for the machine."""

from __future__ import annotations

import random
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from nerfstudio.cameras.cameras import Cameras as HostCameras
from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanager, FullImageDatamanagerConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.data.datasets.base_dataset import InputDataset

from fasttext2style.captures.checks import check_capture
from fasttext2style.plugin.host.chatter import host_is_quiet, rich_is_quiet
from fasttext2style.plugin.host.point_cloud import without_open3d
from fasttext2style.scene.cameras import Cameras
from fasttext2style.terminal.console import console, say


@dataclass
class SceneDatamanagerConfig(FullImageDatamanagerConfig):
    """nerfstudio's full-image data manager with a size limit."""

    _target: type = field(default_factory=lambda: SceneDatamanager)
    max_image_size: int = 0
    """Longest side of the training views, in pixels; larger photographs are scaled down. 0 chooses: 256 on a CPU, no
    limit on CUDA."""
    object_masks: Path | None = None
    """Folder of masks of the object (white), named like the photographs with any picture ending. They choose the
    object and do not limit the reconstruction, as mask_path in transforms.json does in nerfstudio."""

    def longest_side(self, device_type: str) -> int:
        """Longest side of the views in pixels, 0 for no limit."""
        return self.max_image_size or (256 if device_type == "cpu" else 0)


class SceneDatamanager(FullImageDatamanager[InputDataset]):
    """Full images and their cameras, at most `max_image_size` large."""

    config: SceneDatamanagerConfig

    def __init__(self, config: SceneDatamanagerConfig, device: torch.device | str = "cpu", **kwargs) -> None:
        data = Path(config.data) if config.data is not None else Path(config.dataparser.data)
        if isinstance(config.dataparser, NerfstudioDataParserConfig):
            check_capture(data, read_pixels=False)  # pixels are read when a run starts
        config = copy(config)
        config.dataparser = without_open3d(config.dataparser)
        super().__init__(config, device=device, **kwargs)

    def create_train_dataset(self) -> InputDataset:
        self._limit_image_size()
        if self.config.object_masks is not None:
            outputs = self.train_dataparser_outputs
            outputs.mask_filenames = masks_of(self.config.object_masks, outputs.image_filenames)
        return super().create_train_dataset()

    def _load_images(self, split: Literal["train", "eval"], cache_images_device: Literal["cpu", "gpu"]) -> list:
        # A bar that vanishes on a terminal; in a log an empty line.
        with host_is_quiet(), nullcontext() if console.is_terminal else rich_is_quiet():
            return super()._load_images(split, cache_images_device)

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

    def _limit_image_size(self) -> None:
        """Set the scale factor for all splits: the first train camera tells the size."""
        limit = self.config.longest_side(torch.device(self.device).type)
        cameras = self.train_dataparser_outputs.cameras
        longest = int(max(cameras.width.max(), cameras.height.max()))
        if limit and longest * self.config.camera_res_scale_factor > limit:
            self.config.camera_res_scale_factor = limit / longest
            say(f"Views are scaled from {longest} to {limit} pixels: --pipeline.datamanager.max-image-size changes it")

    def cameras(self, split: str) -> Cameras:
        """Undistorted cameras of a split ("train" or "eval"); all views must have one size.

        Raises:
            ValueError: views of different sizes.
        """
        dataset = self.train_dataset if split == "train" else self.eval_dataset
        # Reading the photographs undistorts them and rewrites the dataset's cameras: that comes first.
        _ = self.cached_train if split == "train" else self.cached_eval
        return to_scene_cameras(dataset.cameras.to(self.device))

    def masks(self) -> torch.Tensor | None:
        """[views, height, width] object masks of the training views in [0, 1], or None when the capture has none."""
        cached = self.cached_train
        if not cached or "mask" not in cached[0]:
            return None
        return torch.stack([entry["mask"][..., 0].float() for entry in cached]).to(self.device)

    def photographs(self, split: str = "train") -> torch.Tensor:
        """[views, height, width, 3] photographs of a split as 8 bits on the CPU, framed as `cameras`.

        Larger ones lose pixels at their right and lower edges, smaller ones are black there, and so is what is
        transparent.
        """
        cameras = self.cameras(split)
        pictures = torch.zeros(len(cameras), cameras.height, cameras.width, 3, dtype=torch.uint8)
        for picture, entry in zip(pictures, self.cached_train if split == "train" else self.cached_eval):
            image = entry["image"][: cameras.height, : cameras.width]
            image = image if image.dtype == torch.uint8 else (image.clamp(0, 1) * 255).round().to(torch.uint8)
            if image.shape[-1] == 4:
                image = (image[..., :3] * (image[..., 3:] / 255)).round().to(torch.uint8)
            picture[: image.shape[0], : image.shape[1]] = image.cpu()
        return pictures

    def held_out_masks(self) -> torch.Tensor:
        """[views, height, width] where training would look at the held-out photographs, framed as `cameras`.

        Everywhere inside a photograph, or where the capture's own mask is (mask_path in transforms.json).
        """
        cameras = self.cameras("eval")
        masks = torch.zeros(len(cameras), cameras.height, cameras.width)
        for mask, entry in zip(masks, self.cached_eval):
            height, width = entry["image"].shape[:2]
            mask[:height, :width] = 1
            if "mask" in entry:
                mask[:height, :width] *= entry["mask"][: cameras.height, : cameras.width, 0].float().cpu()
        return masks


def masks_of(folder: Path, photographs: list[Path]) -> list[Path]:
    """The mask of each photograph, by file name without ending.

    Raises:
        ValueError: some photograph has none.
    """
    if not folder.is_dir():
        raise ValueError(f"The folder of object masks {folder} does not exist.")
    by_name = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".png", ".jpg", ".jpeg")}
    missing = [path.name for path in photographs if path.stem not in by_name]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(photographs)} photographs have no mask in {folder}, first {missing[0]}: "
            f"expected {Path(missing[0]).stem}.png beside the others."
        )
    return [by_name[path.stem] for path in photographs]


def to_scene_cameras(cameras: HostCameras) -> Cameras:
    """Our cameras from nerfstudio's; views of one size, larger or smaller ones are brought to the most common size.

    Undistortion crops each photograph by its own few pixels: intrinsics are kept and only the frame is set, so a
    differing view is shown a few pixels wider or narrower, never stretched.
    """
    cameras = cameras.reshape((-1,))
    width = int(cameras.width.flatten().mode().values)
    height = int(cameras.height.flatten().mode().values)
    return Cameras.from_opengl(
        cameras.camera_to_worlds[:, :3, :4].float(),
        cameras.fx.flatten().float(),
        cameras.fy.flatten().float(),
        cameras.cx.flatten().float(),
        cameras.cy.flatten().float(),
        width,
        height,
    )
