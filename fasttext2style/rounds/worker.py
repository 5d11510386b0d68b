"""What runs in the process of one worker among several: an editor, asked by Ray. It needs no Ray itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from fasttext2style.editors.editor import EditRequest, EditResult, ImageEditor
from fasttext2style.rounds.pieces import Failed
from fasttext2style.rounds.workers import About, about, edit_or_say_why


class Worker:
    """Holds one editor. Edits are done one after the other; the group `tell` answers meanwhile."""

    def __init__(self, threads: int) -> None:
        self._threads, self._device = threads, ""
        self._editor: ImageEditor | None = None
        self._steps = (0, 0, 1)
        self._stopped = -1

    def load(self, load: Callable[[str], ImageEditor], device: str) -> About | str:
        """What the editor says about itself, or why there is none."""
        self._device = device
        try:
            self._editor = load(device)
        except Exception as error:
            return " ".join(str(error).split()) or type(error).__name__
        return about(self._editor)

    def edit(self, number: int, packed: Packed, rows: list[int]) -> EditResult | Failed:
        """`number` counts edits, so that it can be named by `stop` and `steps`."""
        assert self._editor is not None, "nothing is begun before load() has answered"
        # Each thread has a number of its own, and this is not the one that loaded torch.
        torch.set_num_threads(self._threads)
        request = packed.request()
        if len(rows) < len(request.images):
            request = request.select(rows)

        def told(done: int, total: int) -> None:
            self._steps = (number, done, total)
            if number <= self._stopped:
                raise ValueError("stopped")

        outcome = edit_or_say_why(self._editor, request, told)
        if isinstance(outcome, Failed) and self._device == "cuda":
            # After some errors a process can use its GPU no more: then this raises, and the worker is replaced.
            torch.cuda.synchronize()
        return outcome

    def steps(self) -> tuple[int, int, int]:
        """Number of the edit, steps done, of how many."""
        return self._steps

    def stop(self, number: int) -> None:
        """End this edit, and those before it, after the step that they are at."""
        self._stopped = number


@dataclass(frozen=True)
class Packed:
    """A request whose pictures travel in 8 bits where that loses nothing: a quarter of the bytes."""

    rest: EditRequest
    bytes: dict[str, torch.Tensor]

    @staticmethod
    def of(request: EditRequest) -> Packed:
        packed = {}
        for name in ("condition", "mask", "detail"):
            value = getattr(request, name)
            if value is not None:
                as_bytes = (value * 255).round().clamp(0, 255).to(torch.uint8)
                if torch.equal(as_bytes.float() / 255, value):
                    same = (other for other in packed.values() if torch.equal(other, as_bytes))
                    packed[name] = next(same, as_bytes)
        return Packed(replace(request, **dict.fromkeys(packed)), packed)

    def request(self) -> EditRequest:
        return replace(self.rest, **{name: value.float() / 255 for name, value in self.bytes.items()})
