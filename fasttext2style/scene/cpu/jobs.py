"""Threads and buffers of the CPU rasterizer.

Kernels release the GIL and run on a thread pool as wide as `torch.get_num_threads()`: no second OpenMP runtime beside
torch's (two of them spin against each other), none of numba's threading layers (of which one ends the process when two
Python threads enter it), and a forked child can go on.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from fasttext2style.scene.cpu.kernels import CHUNK, ROW


def run(kernel: Callable, jobs: int, *arguments) -> None:
    """Do jobs 0..jobs of a kernel, on as many threads as torch uses; four ranges per thread even out the load."""
    threads = min(torch.get_num_threads(), jobs)
    if threads <= 1:
        kernel(0, jobs, *arguments)
        return
    ranges = min(jobs, 4 * threads)
    bounds = [jobs * k // ranges for k in range(ranges + 1)]
    futures = [_pool(threads).submit(kernel, *bounds[k : k + 2], *arguments) for k in range(ranges)]
    for future in futures:
        future.result()


def chunks(gaussians: int) -> int:
    return -(-gaussians // CHUNK)


def array(tensor: Tensor | None, dimensions: int) -> np.ndarray:
    """A contiguous view; None becomes an empty array of the same type, for kernels to have one signature."""
    if tensor is None:
        return np.empty((0,) * dimensions, np.float32)
    return tensor.detach().contiguous().numpy()


def empty(*shape: int) -> np.ndarray:
    """numpy, for it asks for huge pages: a large torch.empty costs a page fault per 4 KiB, each step anew."""
    return np.empty(shape, np.float32)


def aligned_rows(count: int) -> np.ndarray:
    """Buffer of `count` rows that starts on a cache line, so that no row straddles two."""
    buffer = empty((count + 1) * ROW)
    skip = -(buffer.ctypes.data // 4) % ROW
    return buffer[skip : skip + count * ROW]


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="rasterize")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork: the child starts its own
    os.register_at_fork(after_in_child=_pool.cache_clear)
