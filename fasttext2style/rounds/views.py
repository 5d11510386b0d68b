"""What rounds know of each view of the capture: where the object is in it, and how it looked before any edit.

Whole pictures are rendered for the editor; training renders a box around the object, the same pixels but for Gaussians
far off the axis, whose shape splatting limits by the size of the picture (measured: 1/255 in a corner).
Pictures are kept as 8 bits on the CPU, as on disk, so that a resumed run trains towards the very same numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from fasttext2style.rounds.removal import hole_masks
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.scene.rasterize import RasterizeMode, render, render_values

SEEN = 0.1
"""Coverage from which on a pixel counts as showing the object."""
LEAST_AREA = 0.02
"""A view shows the object if that takes at least this share of the area which it takes in the best view."""
CROP_MARGIN = 0.15
"""Surroundings in a training crop on each side of the object, as a share of its width and height."""
LEAST_CROP = 32
"""Least side of a training crop in pixels: LPIPS halves pictures four times."""


class SceneViews:
    """The views of one run.

    Args:
        scene: all Gaussians before any edit.
        weights: [gaussians] selection; the object is where they are above 0.
        cameras: of the capture, all of one size.
        photographs: [views, height, width, 3] as 8 bits.
        background: [3] colour behind the scene.
        mask_margin: how far beyond the object a picture may change, as a share of its larger side in each view.
        removes: the object goes. Pictures then change where that leaves a hole, and the originals, which the rest is
            held to, are without it.

    Raises:
        ValueError: no view shows the object, or photographs of another size than the cameras.
    """

    def __init__(
        self,
        scene: Gaussians,
        weights: Float[Tensor, " gaussians"],
        cameras: Cameras,
        photographs: UInt8[Tensor, "views height width 3"],
        background: Float[Tensor, "3"],
        mask_margin: float = 0.0,
        rasterize_mode: RasterizeMode = "classic",
        removes: bool = False,
    ) -> None:
        expected = (len(cameras), cameras.height, cameras.width, 3)
        if photographs.shape != expected:
            raise ValueError(f"Photographs should be {list(expected)} like the cameras, got {list(photographs.shape)}")
        self.cameras, self.photographs = cameras, photographs
        self.background = background
        self.rasterize_mode: RasterizeMode = rasterize_mode
        self.mask_margin, self.removes = mask_margin, removes
        self.everything = bool((weights > 0).all())
        every_view = range(len(cameras))
        if removes:
            shows = to_bytes(hole_masks(scene, weights, cameras))
            self.originals = to_bytes(self.render(scene.subset(weights == 0), every_view))
        else:
            shows = to_bytes(self._coverage(scene, weights, every_view))
            self.originals = to_bytes(self.render(scene, every_view))
        areas = (shows > SEEN * 255).float().mean(dim=(1, 2, 3))
        self.coverage: Float[Tensor, " views"] = torch.where(areas >= LEAST_AREA * areas.max(), areas, 0.0)
        if not bool(areas.max() > 0):
            raise ValueError(_nothing_shown(len(cameras), int((weights > 0).sum()), removes))
        self.original_masks = (
            torch.full_like(shows, 255) if self.everything else torch.stack([self._widened(mask) for mask in shows])
        )
        self.boxes, self.crop_size = self._crops()

    @property
    def shown(self) -> list[int]:
        """Numbers of the views that show the object."""
        return self.coverage.nonzero()[:, 0].tolist()

    @torch.no_grad()
    def render(
        self, gaussians: Gaussians, views: range | list[int], with_depth: bool = False, chunk: int = 4
    ) -> Float[Tensor, "views height width channels"]:
        """Whole pictures in [0, 1] on the CPU, and the distance along the view axis as fourth channel if asked for."""
        mode = "RGB+ED" if with_depth else "RGB"
        parts = [
            render(
                gaussians,
                self.cameras[list(views)[start : start + chunk]],
                background=self.background,
                render_mode=mode,
                rasterize_mode=self.rasterize_mode,
            )[0].cpu()
            for start in range(0, len(views), chunk)
        ]
        pictures = torch.cat(parts)
        return torch.cat([pictures[..., :3].clamp(0, 1), pictures[..., 3:]], dim=-1)

    def render_crops(
        self, gaussians: Gaussians, views: Int[Tensor, " views"]
    ) -> tuple[Float[Tensor, "views height width 3"], dict]:
        """Differentiable renders of the boxes, and the rasterizer's info (for densification)."""
        width, height = self.crop_size
        cameras = self.cameras[views.to(self.cameras.device)].cropped(self.boxes[views].float(), width, height)
        images, _, info = render(gaussians, cameras, background=self.background, rasterize_mode=self.rasterize_mode)
        return images, info

    def crops(
        self, pictures: UInt8[Tensor, "views height width channels"], views: Int[Tensor, " views"]
    ) -> Float[Tensor, "views h w channels"]:
        """The boxes of `views` out of their pictures (given in the same order), in [0, 1] on the scene's device."""
        boxes = self.boxes[views].tolist()
        parts = [picture[y0:y1, x0:x1] for picture, (x0, y0, x1, y1) in zip(pictures, boxes)]
        return torch.stack(parts).to(self.background.device).float() / 255

    def masks(
        self, gaussians: Gaussians, weights: Float[Tensor, " gaussians"], views: list[int]
    ) -> UInt8[Tensor, "views height width 1"]:
        """Where pictures may change: where the object was, or is, and a margin around it. Soft, of 8 bits."""
        if self.everything or self.removes:
            return self.original_masks[views]
        now = to_bytes(self._coverage(gaussians, weights, views))
        return torch.stack(
            [torch.maximum(self._widened(mask), self.original_masks[view]) for view, mask in zip(views, now)]
        )

    @torch.no_grad()
    def _coverage(
        self, gaussians: Gaussians, weights: Float[Tensor, " gaussians"], views: range | list[int], chunk: int = 8
    ) -> Float[Tensor, "views height width 1"]:
        """How much of each pixel's colour comes from the object, what hides it taken into account."""
        is_object, cameras = (weights > 0).float()[:, None], self.cameras[list(views)]
        parts = [
            render_values(gaussians, some, is_object, rasterize_mode=self.rasterize_mode)[0].cpu()
            for some in (cameras[start : start + chunk] for start in range(0, len(views), chunk))
        ]
        return torch.cat(parts).clamp(0, 1)

    def _widened(self, mask: UInt8[Tensor, "height width 1"]) -> UInt8[Tensor, "height width 1"]:
        x0, y0, x1, y1 = _bounds(mask)
        radius = round(self.mask_margin * max(x1 - x0, y1 - y0))
        return F.max_pool2d(mask[None, ..., 0].float(), 2 * radius + 1, 1, radius)[0, ..., None].to(torch.uint8)

    def _crops(self) -> tuple[Int[Tensor, "views 4"], tuple[int, int]]:
        """Boxes x0, y0, x1, y1 of one size around the object, inside each picture; and their width and height."""
        width, height = self.cameras.width, self.cameras.height
        if self.everything:
            return torch.tensor([[0, 0, width, height]]).repeat(len(self.cameras), 1), (width, height)
        bounds = {view: _bounds(self.original_masks[view]) for view in self.shown}
        wide, tall = (
            min(max(round(side * (1 + 2 * CROP_MARGIN)), LEAST_CROP), limit)
            for side, limit in (
                (max(x1 - x0 for x0, _, x1, _ in bounds.values()), width),
                (max(y1 - y0 for _, y0, _, y1 in bounds.values()), height),
            )
        )
        boxes = torch.zeros(len(self.cameras), 4, dtype=torch.long)
        for view, (x0, y0, x1, y1) in bounds.items():
            left = min(max((x0 + x1 - wide) // 2, 0), width - wide)
            top = min(max((y0 + y1 - tall) // 2, 0), height - tall)
            boxes[view] = torch.tensor([left, top, left + wide, top + tall])
        return boxes, (wide, tall)


def _nothing_shown(views: int, gaussians: int, removes: bool) -> str:
    if removes:
        return (
            f"Taking the object ({gaussians:,} Gaussians) away leaves no hole in any of the {views} views: all that is "
            "behind it was seen from elsewhere. Nothing needs painting: ft2s export RUN --what rest."
        )
    return (
        f"None of the {views} views shows the selected object ({gaussians:,} Gaussians). Is something in front of it "
        "everywhere, or were scene and cameras made in other coordinates?"
    )


def to_bytes(pictures: Float[Tensor, "*views height width channels"]) -> UInt8[Tensor, "*views height width channels"]:
    """Rounded to 8 bits, on the CPU."""
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def _bounds(mask: UInt8[Tensor, "height width 1"]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 (the last two exclusive) around the pixels that show the object; all 0 when none does."""
    seen = mask[..., 0] > SEEN * 255
    if not bool(seen.any()):
        return 0, 0, 0, 0
    rows, columns = seen.any(dim=1).nonzero()[:, 0], seen.any(dim=0).nonzero()[:, 0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
