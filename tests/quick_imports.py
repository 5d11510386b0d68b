"""nerfstudio and what else takes long to import, in half the time."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from fasttext2style.plugin.host.quick_start import frames_without_source

_NO_COMPILER = "TORCHDYNAMO_DISABLE"


@contextmanager
def quick_imports() -> Iterator[None]:
    """What is imported inside stays, and is never again looked through for garbage.

    The compiler of torch takes two seconds to import, when a module only names a function to be compiled. nerfstudio
    has one such function (`get_viewmat` of its own splats), which no test calls: here it is left as it is written.
    """
    # Not `patch.dict`: what imports themselves set, such as the place of ffmpeg, stays.
    before = os.environ.get(_NO_COMPILER)
    os.environ[_NO_COMPILER] = "1"
    gc.disable()
    try:
        with frames_without_source():
            yield
    finally:
        gc.enable()
        gc.freeze()
        if before is None:
            del os.environ[_NO_COMPILER]
        else:
            os.environ[_NO_COMPILER] = before
