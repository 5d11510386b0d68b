"""What rounds know of each view of the capture: where the subject is in it, and how it looked before any edit.

Whole pictures are rendered for the editor; training renders a box around the object, the same pixels but for Gaussians
far off the axis, whose shape splatting limits by the size of the picture (measured: 1/255 in a corner).
Pictures are kept as 8 bits on the CPU, as on disk, so that a resumed run trains towards the very same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from fasttext2style.evaluation.halo import widened
from fasttext2style.scene.cameras import Cameras

SEEN = 0.1
"""Coverage from which on a pixel counts as showing the object."""
LEAST_AREA = 0.02
"""A view shows the object if that takes at least this share of the area which it takes in the best view."""
CROP_MARGIN = 0.15
"""Surroundings in a training crop on each side of the object, as a share of its width and height."""
MOST_KEPT = 2 * 2**30
"""Bytes of crops that stay on a GPU: of 300 views of a thing 700 pixels large, 1 GiB."""
LEAST_CROP = 32
"""Least side of a training crop in pixels: LPIPS halves pictures four times."""


class SceneViews:
    """The views of one run.

    Args:
        cameras: of the capture, all of one size.
        photographs: [views, height, width, 3] as 8 bits.
        originals: renders of all views before the first round, as 8 bits; what lies outside the masks is held to them.
        coverage: how much of each pixel shows what is edited, `Subject.coverage` of all views as 8 bits.
        mask_margin: how far beyond that a picture may change, as a share of its larger side in each view.
        held_to_photographs: what lies outside the masks is trained towards the photographs, not towards the originals.

    Raises:
        ValueError: no view shows what is edited, or photographs of another size than the cameras.
    """

    def __init__(
        self,
        cameras: Cameras,
        photographs: UInt8[Tensor, "photographs rows columns 3"],
        originals: UInt8[Tensor, "views height width 3"],
        coverage: UInt8[Tensor, "views height width 1"] | None,
        mask_margin: float = 0.0,
        held_to_photographs: bool = False,
    ) -> None:
        expected = (len(cameras), cameras.height, cameras.width, 3)
        if photographs.shape != expected:
            raise ValueError(f"Photographs should be {list(expected)} like the cameras, got {list(photographs.shape)}")
        self.cameras, self.photographs, self.originals = cameras, photographs, originals
        self._held_to = (photographs if held_to_photographs else originals).unbind()
        self.mask_margin = mask_margin
        self.everything = coverage is None
        shows = torch.full_like(originals[..., :1], 255) if coverage is None else coverage
        self.original_coverage: UInt8[Tensor, "views height width 1"] = shows
        areas = torch.stack([(view > SEEN * 255).float().mean() for view in shows])
        if not bool(areas.max() > 0):
            raise ValueError(f"None of the {len(cameras)} views shows what is to be edited.")
        self.coverage: Float[Tensor, " views"] = torch.where(areas >= LEAST_AREA * areas.max(), areas, 0.0)
        widens = mask_margin > 0 and not self.everything
        self.original_masks = torch.stack([self._widened(mask) for mask in shows]) if widens else shows
        self.boxes, self.crop_size = self._crops()
        self._kept: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        self._kept_bytes = 0

    @property
    def shown(self) -> list[int]:
        """Numbers of the views that show the object."""
        return self.coverage.nonzero()[:, 0].tolist()

    def crops(
        self,
        pictures: Sequence[UInt8[Tensor, "height width channels"]],
        views: Int[Tensor, " views"],
        kind: str = "",
        boxes: Int[Tensor, "views 4"] | None = None,
    ) -> Float[Tensor, "views h w channels"]:
        """The boxes of `views` out of their pictures (given in the same order), in [0, 1] on the cameras' device.

        Those around the object, or others of one size. With a `kind` the former stay there, if that is a GPU and they
        fit, until another picture of that kind and view comes.
        """
        if boxes is None:
            crops = [self._crop(*one, kind) for one in zip(pictures, views.tolist())]
        else:
            crops = [picture[y0:y1, x0:x1] for picture, (x0, y0, x1, y1) in zip(pictures, boxes.tolist())]
        return torch.stack(crops).to(self.cameras.device).float() / 255

    def original_crops(
        self, views: Int[Tensor, " views"], boxes: Int[Tensor, "views 4"] | None = None
    ) -> Float[Tensor, "views h w 3"]:
        """What the boxes of `views` are held to outside the object: how they looked before the first round, or their
        photographs."""
        return self.crops([self._held_to[view] for view in views.tolist()], views, "original", boxes)

    def _crop(self, picture: UInt8[Tensor, "height width c"], view: int, kind: str) -> UInt8[Tensor, "h w c"]:
        kept = self._kept.get((kind, view))
        if kept is not None and kept[0] is picture:
            return kept[1]
        x0, y0, x1, y1 = self.boxes[view].tolist()
        crop = picture[y0:y1, x0:x1]
        if self.cameras.device.type == "cpu":
            return crop
        crop = crop.contiguous().to(self.cameras.device, non_blocking=True)
        if kept is not None:
            self._kept_bytes -= self._kept.pop((kind, view))[1].numel()
        if kind and self._kept_bytes + crop.numel() <= MOST_KEPT:
            self._kept[kind, view] = picture, crop
            self._kept_bytes += crop.numel()
        return crop

    def let_go(self, views: Sequence[int], kinds: Sequence[str]) -> None:
        """Crops of these kinds that stayed on the GPU, and the pictures that they are of."""
        for view in views:
            for kind in kinds:
                kept = self._kept.pop((kind, view), None)
                self._kept_bytes -= 0 if kept is None else kept[1].numel()

    def masks(
        self, views: list[int], coverage: Float[Tensor, "views height width 1"] | None
    ) -> UInt8[Tensor, "views height width 1"]:
        """Where pictures may change: where the object was, or is by `coverage`, with a margin. Soft, of 8 bits."""
        if coverage is None:
            return self.original_masks[views]
        now = to_bytes(coverage)
        return torch.stack(
            [torch.maximum(self._widened(mask), self.original_masks[view]) for view, mask in zip(views, now)]
        )

    def _widened(self, mask: UInt8[Tensor, "height width 1"]) -> UInt8[Tensor, "height width 1"]:
        x0, y0, x1, y1 = _bounds(mask)
        radius = round(self.mask_margin * max(x1 - x0, y1 - y0))
        return widened(mask[..., 0], radius)[..., None]

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
