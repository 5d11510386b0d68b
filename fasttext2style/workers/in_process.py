"""A crew of one, which is here: no copies, and no more memory than its tool takes."""

from __future__ import annotations

import logging
from typing import Any

import torch

from fasttext2style.workers.pieces import Failed, OnStep, Tool

logger = logging.getLogger(__name__)


class InProcess:
    """The `Crew` of one tool in this process."""

    count = 1

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._begun: tuple[Any, OnStep | None] | None = None

    def hand_in(self, request: Any) -> Any:
        return request

    def handed_in(self, piece: Any) -> Any:
        return piece

    def free(self) -> list[int]:
        return [0] if self._begun is None else []

    def begin(self, worker: int, piece: Any, rows: list[int], on_step: OnStep | None) -> None:
        self._begun = (piece if len(rows) == len(piece.part_ids) else piece.select(rows)), on_step

    def wait(self, patient: bool = True) -> list[tuple[int, Any]]:
        if not patient:
            return []
        assert self._begun is not None, "only what was begun can be waited for"
        (request, on_step), self._begun = self._begun, None
        return [(0, do_or_say_why(self._tool, request, on_step))]

    def stop(self) -> None:
        self._begun = None

    def close(self) -> None:
        self._tool.close()


def do_or_say_why(tool: Tool, request: Any, on_step: OnStep | None) -> Any:
    """Whatever a tool raises, which may be anybody's, costs what it was asked for and not all work: then `Failed`."""
    try:
        return tool.do(request, on_step)
    except Exception as error:
        logger.debug("%s failed", type(tool).__name__, exc_info=True)
        words = " ".join(str(error).split())
        reason = words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}"
        # torch has a class of its own for a GPU's memory, and none for that of the CPU.
        lacks_memory = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in words
        return Failed(reason, lacks_memory)
