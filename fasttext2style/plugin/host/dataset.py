"""Photographs and masks of a capture as training sees them: of any mode, any size, and turned as their cameras say."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.datasets.base_dataset import InputDataset

from fasttext2style.captures.masks import read_mask
from fasttext2style.captures.photographs import read_head, read_photograph, scaled_size, turned_as


class SceneDataset(InputDataset):
    """nerfstudio's dataset, but for how a picture is read; cameras have its size because one place says it.

    nerfstudio reckons sizes of pictures with 64 bits and those of cameras with 32, and stops where these differ.
    """

    def __init__(self, outputs: DataparserOutputs, scale: float = 1.0, longest: int = 0) -> None:
        """`longest` side in pixels, for each photograph by itself; 0 for no limit."""
        super().__init__(outputs)
        cameras = self.cameras
        sides = torch.cat([cameras.width, cameras.height], dim=-1).reshape(-1, 2).tolist()
        self.sizes = [(int(width), int(height)) for width, height in sides]
        self.scaled = [scaled_size(width, height, scale, longest) for width, height in self.sizes]
        scaled = torch.tensor(self.scaled).reshape(-1, 2)
        across, down = (scaled.double() / torch.tensor(self.sizes).reshape(-1, 2)).float().split(1, dim=1)
        cameras.fx, cameras.cx, cameras.width = cameras.fx * across, cameras.cx * across, scaled[:, :1].clone()
        cameras.fy, cameras.cy, cameras.height = cameras.fy * down, cameras.cy * down, scaled[:, 1:].clone()

    def get_numpy_image(self, image_idx: int) -> np.ndarray:
        """[height, width, 3 or 4] of 8 bits.

        Raises:
            ValueError: it cannot be read, or has another size than its camera.
        """
        return read_photograph(self.image_filenames[image_idx], self.sizes[image_idx], self.scaled[image_idx])

    def get_data(self, image_idx: int, image_type: Literal["uint8", "float32"] = "float32") -> dict[str, Any]:
        """image_idx, image, and mask [height, width, 1] if there is one."""
        read = self.get_image_uint8 if image_type == "uint8" else self.get_image_float32
        data = {"image_idx": image_idx, "image": read(image_idx)}
        masks = self._dataparser_outputs.mask_filenames
        if masks is not None:
            size = self.sizes[image_idx]
            turn = turned_as(read_head(self.image_filenames[image_idx]), size) or 1
            mask = read_mask(masks[image_idx], size, turn, self.scaled[image_idx])
            data["mask"] = torch.from_numpy(mask)[..., None]
            if self.mask_color:
                color = torch.tensor(self.mask_color)
                data["image"] = torch.where(data["mask"], data["image"], torch.ones_like(data["image"]) * color)
        return data | self.get_metadata(data)

    def __getitem__(self, image_idx: int) -> dict[str, Any]:
        """To be shown, by the viewer and `ns-render dataset`: what is transparent is black, as in our renders."""
        data = self.get_data(image_idx)
        if data["image"].shape[-1] == 4:
            data["image"] = data["image"][..., :3] * data["image"][..., 3:]
        return data
