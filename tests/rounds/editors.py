"""Small real editors for tests: deterministic, and so simple that one knows what must come out."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
import torch.nn.functional as F

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


class TwoMinded(Painter):
    """Red in views of even number, green in odd ones: what no object can look like but by its view dependence."""

    name = "two-minded"

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        images = torch.zeros_like(request.images)
        for index, view in enumerate(request.view_ids):
            images[index, ..., view % 2] = 0.6
        return EditResult(images)


class Flat(Painter):
    """Knows one colour, and sees 4 x 4 pixels."""

    name = "flat"
    native_size = 4

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        self.requests.append(request)
        return EditResult(torch.zeros_like(request.images) + torch.tensor([0.6, 0.3, 0.3]))


class Idle(Painter):
    """Gives every picture back as it came."""

    name = "idle"

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        self.requests.append(request)
        return EditResult(request.images)


class Surveyor(Idle):
    """Idle, and asks for depth."""

    name = "surveyor"
    capabilities = frozenset({"depth"})


class Broken(Painter):
    """Answers with NaN whatever one asks."""

    name = "broken"

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        result = super().edit(request, on_step)
        return EditResult(torch.full_like(result.images, float("nan")), result.info)


class Slow(Painter):
    """Says how far it is, as editors that denoise do."""

    name = "slow"

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        for done in range(1, 4):
            if on_step is not None:
                on_step(done, 3)
        return super().edit(request, on_step)


class Eraser:
    """What an inpainting editor does in a simple world: the region takes the colours of the picture near it."""

    name = "eraser"
    capabilities = frozenset({"mask"})

    def __init__(self, device: torch.device | str = "cpu") -> None:
        pass

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        assert request.mask is not None
        known = (request.mask < 0.05).float()
        spread = torch.cat([request.images * known, known], dim=-1).movedim(-1, 1)
        radius = request.images.shape[1] // 6
        for _ in range(3):
            spread = F.avg_pool2d(spread, 2 * radius + 1, 1, radius, count_include_pad=False)
        colors = (spread[:, :3] / spread[:, 3:].clamp_min(1e-6)).movedim(1, -1)
        return EditResult(torch.lerp(request.images, colors, (request.mask > 0.05).float()))

    def close(self) -> None:
        pass


class Noisy(Painter):
    """Every view gets noise of its own, from its id and the seed; edits in place, as editors of others may.

    Each one that is loaded says so in `folder`, by the id of its process.
    """

    name = "noisy"

    def __init__(self, device: torch.device | str = "cpu", folder: str = "", seconds: float = 0.0) -> None:
        super().__init__(device)
        self.folder, self.seconds = Path(folder), seconds
        if folder:
            (self.folder / f"loaded_{os.getpid()}").touch()

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        for done in range(1, 5):
            time.sleep(self.seconds / 4)
            if on_step is not None:
                on_step(done, 4)
        for index, view in enumerate(request.view_ids):
            generator = torch.Generator().manual_seed(request.seed + view)
            request.images[index] += 0.2 * torch.randn(request.images[index].shape, generator=generator)
        return EditResult(request.images.clamp(0, 1), {"threads": torch.get_num_threads()})


class Mortal(Noisy):
    """Ends when it is asked for view 5 the first time, and for view 8 each time: by "SIGKILL", as when the operating
    system runs out of memory, or of a GPU's "memory"."""

    name = "mortal"

    def __init__(self, device: torch.device | str = "cpu", folder: str = "", of: str = "SIGKILL") -> None:
        super().__init__(device, folder)
        self.of = of

    def edit(self, request: EditRequest, on_step=None) -> EditResult:
        killed, shows_5 = self.folder / "killed", 5 in request.view_ids
        if 8 in request.view_ids or (shows_5 and not killed.exists()):
            if shows_5:
                killed.touch()
            if self.of == "memory":
                raise torch.OutOfMemoryError("CUDA out of memory")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().edit(request, on_step)
