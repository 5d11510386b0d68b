"""Small real editors for tests: deterministic, and so simple that one knows what must come out."""

from __future__ import annotations

import torch

from fasttext2style.editors.editor import EditRequest, EditResult


class Painter:
    """Makes everything red, green or blue, whichever word the instruction has; brightness stays."""

    name = "painter"
    capabilities = frozenset({"seed"})

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.requests: list[EditRequest] = []

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        self.requests.append(request)
        channel = next(index for index, word in enumerate(("red", "green", "blue")) if word in request.instruction)
        images = torch.zeros_like(request.images)
        images[..., channel] = 0.3 + 0.6 * request.images.mean(dim=-1)
        return EditResult(images, {"model": self.name, "seed": request.seed})

    def close(self) -> None:
        pass


class MoodyPainter(Painter):
    """Fails on some views: on view 1 it answers NaN, on view 2 black."""

    name = "moody painter"

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        result = super().edit(request, on_step)
        for index, view in enumerate(request.view_ids):
            if view == 1:
                result.images[index] = float("nan")
            if view == 2:
                result.images[index] = 0.0
        return result


class Eraser:
    """What an inpainting editor does in a simple world: the region takes the colour of the picture around it."""

    name = "eraser"
    capabilities = frozenset({"mask"})

    def __init__(self, device: torch.device | str = "cpu") -> None:
        pass

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        assert request.mask is not None
        around = 1 - request.mask
        colors = (request.images * around).sum(dim=(1, 2), keepdim=True) / around.sum(dim=(1, 2), keepdim=True)
        return EditResult(request.images * around + colors * request.mask)

    def close(self) -> None:
        pass
