"""Work in batches that shrink when a GPU's memory does not suffice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Batches:
    """How many samples are computed at once; halved, and kept so, when memory runs out."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"At least 1 sample is computed at once, got batch {size}")
        self.size = size

    def each(self, rows: Sequence[int], work: Callable[[list[int]], Result]) -> list[Result]:
        """`work` of all rows, some at a time, in order.

        Raises:
            ValueError: not even one sample fits into the memory.
        """
        results, done = [], 0
        while done < len(rows):
            some = list(rows[done : done + self.size])
            try:
                results.append(work(some))
            except torch.cuda.OutOfMemoryError:
                # Nothing is freed here: the exception still holds the frames that hold the tensors.
                outcome = False
            else:
                outcome = True
            if outcome:
                done += len(some)
            else:
                self._halve()
        return results

    def _halve(self) -> None:
        torch.cuda.empty_cache()
        if self.size == 1:
            raise ValueError(
                "The GPU's memory does not suffice for one sample: set --checkpointing True, --dtype bf16, or fewer "
                "--sampling.steps, or take a smaller editor."
            )
        self.size //= 2
        logger.warning("Out of GPU memory; going on with %d samples at once", self.size)
