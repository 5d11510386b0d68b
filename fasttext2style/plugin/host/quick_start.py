"""nerfstudio's start, without the half of it that looks at source code.

For each of its 26 external methods `nerfstudio.configs.external_methods` asks `inspect.stack()` who called, and that
reads the source of every frame: 6 of 13 seconds, of which only the name of a function is used. A command of ours can
spare them; ns-train has them behind it when it comes to a plugin.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def frames_without_source() -> Iterator[None]:
    """Inside, `inspect.stack()` gives what it gives with `context=0`, and file names as they were compiled."""
    stack = inspect.stack
    # No function of its own, which a type checker could wrap in another frame.
    inspect.stack = lambda context=1: _frames(sys._getframe(1))
    try:
        yield
    finally:
        inspect.stack = stack


def _frames(frame: FrameType | None) -> list[inspect.FrameInfo]:
    found = []
    while frame is not None:
        code = frame.f_code
        found.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
        frame = frame.f_back
    return found
