"""Is there memory for it? Asked before a CPU runs, where the kernel kills a process instead of raising an error."""

from __future__ import annotations

import torch


def check_cpu_memory(device: torch.device, needed_bytes: int, editor: str, views: int) -> None:
    """Does nothing on other devices, whose allocators raise an error that the batch size answers to.

    Raises:
        ValueError: more is needed than there is, with both figures.
    """
    if device.type != "cpu":
        return
    import psutil

    available = psutil.virtual_memory().available
    if needed_bytes > available:
        raise ValueError(
            f"Editing {views} views at once with {editor} takes about {needed_bytes / 2**30:.1f} GiB, and "
            f"{available / 2**30:.1f} GiB are free. Set a smaller batch_size (memory grows with it) or native_size "
            "(with its square)."
        )
