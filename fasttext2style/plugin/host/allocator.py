"""How this process gets its memory and gives it back; for all of it, so only a program's own start may choose."""

from __future__ import annotations

import ctypes
import gc
import sys

_M_ARENA_MAX = -8
"""Of malloc.h."""


def share_arenas() -> None:
    """Let all threads of this process share two arenas of memory, from now on.

    glibc gives every thread that renders an arena of its own, and keeps there what was freed: with a viewer that is 0.2
    times a scene of a million Gaussians more at the peak.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # musl has none
            mallopt(_M_ARENA_MAX, 2)


def keep_what_is_there() -> None:
    """Look for garbage now, and among what is there now never again: modules, networks, the page.

    A live session looks for garbage after each job. Among all objects of a program with torch and nerfstudio that takes
    0.3 s of a core, and whoever looks at the scene waits meanwhile.
    """
    gc.collect()
    gc.freeze()
