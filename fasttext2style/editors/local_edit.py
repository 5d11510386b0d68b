"""What every editor gets around it: the object is edited at the editor's resolution, the rest of the picture is kept.

Object box -> crop and resize -> editor, in batches -> check of each view -> resize and paste back through the mask.
Boxes have the picture's own proportions and lie inside it, so that all crops are of one size and nothing is padded;
but for editors that want to see the object alone: what is not of it, or not of the picture, is black for them.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fasttext2style.editors.editor import EditRequest, EditResult, ImageEditor, OnStep
from fasttext2style.editors.resolution import native_crop_size, resized, with_detail

logger = logging.getLogger(__name__)

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last two exclusive; may reach beyond the picture."""

SEEN = 0.1
"""Mask from which on a pixel counts as the object's when its box is measured; softer edges may lie outside."""

LARGEST_MAGNIFICATION = 16
"""Fewer pixels of an object say nothing about it, and the editor would see a blur."""


@dataclass(frozen=True)
class LocalEditConfig:
    """How views are cut, batched and put together again."""

    batch_size: int = 8
    """Views edited at once. Halved, and kept so, when the GPU's memory does not suffice."""
    margin: float = 0.25
    """Surroundings that the editor sees on each side of the object, as a share of its width and height."""
    feather: float = 0.004
    """Width over which the edit fades in inside the mask's edge, as a share of the picture's shorter side."""
    native_size: int | None = None
    """Side in pixels of the square whose area crops are resized to. None: the editor's own; 0: whole pictures as they
    are."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"An editor takes at least 1 view at once, got batch_size {self.batch_size}")
        if self.margin < 0 or self.feather < 0:
            raise ValueError(f"margin and feather are 0 or more, got {self.margin} and {self.feather}")
        if self.native_size is not None and self.native_size < 0:
            raise ValueError(f"native_size is 0 (pictures as they are) or more, got {self.native_size}")


class TooLittleMemory(ValueError, torch.OutOfMemoryError):
    """Not even one view fits; a worker that had room for one before may be replaced."""


class LocalEditor:
    """An editor around another: the inner one sees crops of the object, the outer one keeps all pixels of mask 0."""

    def __init__(self, editor: ImageEditor, config: LocalEditConfig | None = None):
        self.editor = editor
        self.config = config or LocalEditConfig()
        self.name = editor.name
        self.capabilities = editor.capabilities | {"mask"}
        self.key_views: int = getattr(editor, "key_views", 0)
        self.object_alone: bool = getattr(editor, "object_alone", False)
        self.batch_size = self.config.batch_size
        """What was asked for: who cuts views into pieces takes so many."""
        self._batch_size = self.config.batch_size
        """What the memory suffices for."""

    @torch.no_grad()
    def edit(self, request: EditRequest, on_step: OnStep | None = None) -> EditResult:
        """The request's views with the object edited; views that do not show it come back unchanged.

        Raises:
            ValueError: not even one view fits into the GPU's memory.
        """
        started = time.perf_counter()
        seen = [
            row for row in range(len(request.images)) if request.mask is None or bool((request.mask[row] > SEEN).any())
        ]
        shown = request if len(seen) == len(request.images) else request.select(seen)
        boxes, (height, width) = self._crops_of(shown)
        crops = _cropped(shown, boxes, height, width)
        if self.object_alone:
            crops = _object_alone(crops)
        edited, info, failed = self._edit_in_batches(crops, on_step)

        images = request.images.clone()
        for index, row in enumerate(seen):
            if index not in failed:
                mask = None if request.mask is None else request.mask[row]
                detail = None if request.detail is None else request.detail[row]
                images[row] = _pasted(images[row], edited[index], boxes[index], mask, self.config.feather, detail)
        info |= {
            "batch_size": self._batch_size,
            "edited_at": [height, width],
            "unseen_views": [request.view_ids[row] for row in range(len(request.images)) if row not in seen],
            "fine_detail": request.detail is not None,
            "left_out": _left_out(request, self.capabilities),
            "seconds": round(time.perf_counter() - started, 3),
        }
        return EditResult(images, info, {seen[index]: reason for index, reason in failed.items()})

    def close(self) -> None:
        self.editor.close()

    def _crops_of(self, request: EditRequest) -> tuple[list[Box], tuple[int, int]]:
        """One box per view, and the height and width at which all of them are edited."""
        height, width = request.images.shape[1:3]
        side = self.config.native_size
        if side is None:
            side = getattr(self.editor, "native_size", 0)
        if not side:
            return [(0, 0, width, height)] * len(request.images), (height, width)
        size = native_crop_size(height, width, side)
        if request.mask is None:
            return [(0, 0, width, height)] * len(request.images), size
        smallest = max(size) / max(height, width) / LARGEST_MAGNIFICATION
        inside = not self.object_alone
        return [object_box(mask[..., 0], self.config.margin, smallest, inside) for mask in request.mask], size

    def _edit_in_batches(
        self, request: EditRequest, on_step: OnStep | None
    ) -> tuple[dict[int, Tensor], dict[str, Any], dict[int, str]]:
        """Edited crops and reasons of failure, by row of the request."""
        edited: dict[int, Tensor] = {}
        failed: dict[int, str] = {}
        info: dict[str, Any] = {"model": self.name}
        views = len(request.images)
        keys = spread_rows(views, self.key_views)
        waiting = keys + [row for row in range(views) if row not in keys]
        while waiting:
            done = views - len(waiting)
            # Later batches see the same key views again; their edits are known by then.
            again = keys if done else []
            fresh = waiting[: max(1, self._batch_size - len(again))]
            batch = request.select(again + fresh)
            result = self._edit_if_memory_suffices(batch, _progress(on_step, done, len(fresh), views))
            if result is None:
                self._halve_batch(batch, len(keys))
                continue
            info |= result.info
            for index, row in enumerate(fresh, start=len(again)):
                reason = result.failed.get(index) or defect(result.images, batch.images, index)
                if reason:
                    failed[row] = reason
                    logger.warning("View %s is not edited: %s", request.view_ids[row], reason)
                else:
                    edited[row] = result.images[index].to(request.images).clamp(0, 1)
            waiting = waiting[len(fresh) :]
        return edited, info, failed

    def _edit_if_memory_suffices(self, batch: EditRequest, on_step: OnStep | None) -> EditResult | None:
        try:
            return self.editor.edit(batch, on_step)
        except torch.cuda.OutOfMemoryError:
            # Nothing is freed here: the exception still holds the frames that hold the tensors.
            return None

    def _halve_batch(self, batch: EditRequest, keys: int) -> None:
        torch.cuda.empty_cache()
        views, height, width = batch.images.shape[:3]
        if self._batch_size == 1 or views <= keys + 1:
            raise TooLittleMemory(
                f"The GPU's memory does not suffice for {views} view(s) of {width} x {height} pixels in {self.name}. "
                "Load the editor in fp16 or with offload, give it a smaller native_size or fewer key_views, or put it "
                "on another device."
            )
        # Every batch holds the key views, and one view more.
        self._batch_size = max(views // 2, keys + 1)
        logger.warning("Out of GPU memory with %d views at once; going on with %d", views, self._batch_size)


def object_box(mask: Float[Tensor, "height width"], margin: float, smallest: float = 0.0, inside: bool = True) -> Box:
    """Box around the object with a margin, in the picture's proportions.

    `smallest` is the least share of the picture's sides. An object of 10 x 10 pixels in the middle of 100 x 200, with
    margin 0.25, gets 15 x 30. The box lies `inside` the picture; else it has its margin on every side of the object,
    also where that is beyond the picture's frame.

    Raises:
        ValueError: the mask is empty.
    """
    height, width = mask.shape
    rows, columns = ((mask > SEEN).any(dim).nonzero()[:, 0].tolist() for dim in (1, 0))
    if not rows:
        raise ValueError("The mask of this view is empty; there is no object to put a box around")
    bounds = ((columns[0], columns[-1] + 1, width), (rows[0], rows[-1] + 1, height))
    share = max((high - low) * (1 + 2 * margin) / size for low, high, size in bounds)
    share = max(share, smallest)

    def interval(low: int, high: int, size: int) -> tuple[int, int]:
        length = math.ceil(size * share)
        start = round((low + high - length) / 2)
        if inside:
            length = min(size, length)
            start = min(max(start, 0), size - length)
        return start, start + length

    (x0, x1), (y0, y1) = (interval(*bound) for bound in bounds)
    return x0, y0, x1, y1


def defect(edited: Tensor, before: Float[Tensor, "views height width 3"], index: int) -> str | None:
    """What is wrong with view `index` of an editor's answer, in words; None for a sound one."""
    if edited.shape != before.shape:
        return f"the editor returned {list(edited.shape)} for images of {list(before.shape)}"
    image = edited[index]
    if not bool(image.isfinite().all()):
        return "the editor returned NaN or infinity; half precision may be too narrow for it, try bf16 or fp32"
    low, high = image.min().item(), image.max().item()
    if low < -0.5 or high > 1.5:
        return f"the editor returned values from {low:.3g} to {high:.3g}, images are in [0, 1]"
    if high < 0.02 and before[index].max().item() > 0.1:
        return "the editor returned black: a safety checker that said no, or an overflow in half precision"
    return None


def _cropped(request: EditRequest, boxes: list[Box], height: int, width: int) -> EditRequest:
    """The request for the boxes alone, at height x width."""

    def crop(values: Tensor | None) -> Tensor | None:
        if values is None or not boxes:
            return values
        return torch.stack([resized(_part(view, box), height, width) for view, box in zip(values, boxes)])

    images = crop(request.images)
    assert images is not None
    return replace(
        request,
        images=images,
        condition=crop(request.condition),
        mask=crop(request.mask),
        depth=crop(request.depth),
        detail=None,
    )


def _part(view: Float[Tensor, "height width channels"], box: Box) -> Float[Tensor, "h w channels"]:
    """What a box shows; beyond the picture colours are as at its edge, masks and depths 0."""
    height, width, channels = view.shape
    x0, y0, x1, y1 = box
    inside = view[max(y0, 0) : y1, max(x0, 0) : x1]
    beyond = [max(-x0, 0), max(x1 - width, 0), max(-y0, 0), max(y1 - height, 0)]
    if not any(beyond):
        return inside
    mode = "constant" if channels == 1 else "replicate"
    return F.pad(inside.movedim(-1, 0)[None], beyond, mode)[0].movedim(0, -1)


def _object_alone(crops: EditRequest) -> EditRequest:
    """The request with black beside the object, for the editor to paint all that it sees and nothing else.

    Pixels next to the object stay: its rim is mixed with them.
    """
    if crops.mask is None:
        return crops
    touched = (crops.mask > SEEN).float().movedim(-1, 1)
    seen = F.max_pool2d(touched, 3, 1, 1).movedim(1, -1)
    condition = None if crops.condition is None else crops.condition * seen
    return replace(crops, images=crops.images * seen, condition=condition)


def _pasted(
    image: Float[Tensor, "height width 3"],
    crop: Float[Tensor, "h w 3"],
    box: Box,
    mask: Float[Tensor, "height width 1"] | None,
    feather: float,
    detail: Float[Tensor, "height width 3"] | None,
) -> Float[Tensor, "height width 3"]:
    """The image with the crop in its box, as far as the mask lets it; pixels of mask 0 keep every bit."""
    (height, width), (left, top, right, bottom) = image.shape[:2], box
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    before = image[y0:y1, x0:x1]
    after = resized(crop, bottom - top, right - left)[y0 - top : y1 - top, x0 - left : x1 - left]
    if detail is not None:
        coarse = (crop.shape[0] * (y1 - y0) / (bottom - top), crop.shape[1] * (x1 - x0) / (right - left))
        after = with_detail(after, detail[y0:y1, x0:x1], (math.ceil(coarse[0]), math.ceil(coarse[1])))
    if mask is not None:
        weights = feathered(mask[..., 0], feather)[y0:y1, x0:x1, None]
        after = torch.where(weights > 0, torch.lerp(before, after, weights), before)
    pasted = image.clone()
    pasted[y0:y1, x0:x1] = after
    return pasted


def feathered(mask: Float[Tensor, "height width"], share: float) -> Float[Tensor, "height width"]:
    """The mask, fading in over `share` of the picture's shorter side; inwards only, so that 0 stays 0."""
    radius = round(share * min(mask.shape))
    if radius == 0:
        return mask
    # Along columns, then along rows: the same mean as over a square, of which a large one takes 20 s a full-size view.
    blurred = mask[None, None]
    for size, padding in (((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))):
        blurred = F.avg_pool2d(blurred, size, 1, padding, count_include_pad=False)
    return mask * blurred[0, 0]


def spread_rows(views: int, count: int) -> list[int]:
    """`count` of `views` rows, evenly spread: 2 of 8 are 2 and 6."""
    count = min(count, views)
    return [(2 * index + 1) * views // (2 * count) for index in range(count)]


def _progress(on_step: OnStep | None, views_done: int, views_now: int, views: int) -> OnStep | None:
    """Steps of one batch, counted as steps of all views."""
    if on_step is None:
        return None
    return lambda step, steps: on_step(views_done * steps + views_now * step, views * steps)


def _left_out(request: EditRequest, capabilities: frozenset[str]) -> list[str]:
    """What was asked for that this editor does not heed."""
    asked = {
        "condition": request.condition is not None,
        "depth": request.depth is not None,
        "negative": bool(request.negative),
        "strength": request.strength != EditRequest.strength,
        "image_guidance": request.image_guidance != EditRequest.image_guidance,
    }
    return sorted(name for name, wanted in asked.items() if wanted and name not in capabilities)
