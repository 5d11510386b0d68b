"""ffmpeg where nerfstudio looks for it: `ns-render` and mediapy ask the PATH for a program of that name."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path


def offer_ffmpeg() -> None:
    """Put the ffmpeg of the imageio-ffmpeg wheel at the end of this process's PATH if there is none.

    The wheel's program has another name, and site-packages may be read-only and belong to somebody else: a link called
    ffmpeg lies in a temporary folder of this process, which goes when the process ends. Where that cannot be made, or
    the wheel holds no program for this machine, nothing happens: `ns-render` says itself that it needs ffmpeg.
    """
    if shutil.which("ffmpeg") is not None:
        return
    import imageio_ffmpeg

    # RuntimeError: no program for this machine. OSError: no folder for temporary files, or no links (Windows).
    with contextlib.suppress(RuntimeError, OSError):
        program = Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute()
        folder = Path(tempfile.mkdtemp(prefix="ffmpeg-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        (folder / "ffmpeg").symlink_to(program)
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(folder)])
