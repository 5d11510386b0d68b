"""Work in batches that shrink when a GPU's memory does not suffice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from fasttext2style.editors.diffusion.processes import Processes

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Batches:
    """How many samples are computed at once. Processes share them.

    When memory runs out with some, it is half as many from then on.
    """

    def __init__(self, size: int, processes: Processes | None = None) -> None:
        if size < 1:
            raise ValueError(f"At least 1 sample is computed at once, got batch {size}")
        self.size, self.processes = size, processes

    def each(self, rows: Sequence[int], work: Callable[[list[int]], Result]) -> list[Result]:
        """`work` of all rows, some at a time, in order; of several processes each does its share, and has all results.

        Raises:
            ValueError: not even one sample fits into the memory.
        """
        if self.processes is None:
            return self._each(rows, work)
        return self.processes.gathered(self._each(self.processes.share(rows), work))

    def step(self, optimizer: torch.optim.Optimizer, gradient_norm: float) -> float:
        """One step of the optimizer by what all processes found; returns the gradient's norm before it is scaled down.

        Raises:
            ValueError: gradients that are no numbers; the weights are as they were.
        """
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if self.processes is not None:
            self.processes.add_up(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, gradient_norm)
        if not bool(norm.isfinite()):
            raise ValueError(
                "The gradient is NaN or infinite: training diverged. Take a smaller learning rate, or --dtype fp32."
            )
        optimizer.step()
        return float(norm)

    def _each(self, rows: Sequence[int], work: Callable[[list[int]], Result]) -> list[Result]:
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
                self._halve(len(some))
        return results

    def _halve(self, tried: int) -> None:
        torch.cuda.empty_cache()
        if tried == 1:
            raise ValueError(
                "The GPU's memory does not suffice for one sample: set --checkpointing True, --dtype bf16, or fewer "
                "--sampling.steps, or take a smaller editor."
            )
        self.size = tried // 2
        logger.warning("Out of GPU memory; going on with %d samples at once", self.size)
