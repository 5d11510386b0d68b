"""The folder in which Ray keeps its files while a run has workers on this machine; it needs no Ray itself.

A run that ends removes its folder; of one that was killed (by SIGTERM, too, for Ray's processes still write then) the
next run does.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fasttext2style.trust.lock import WriteLock

PREFIX = "ft2s_ray_"
LONGEST_PARENT = 30
"""Characters: Ray's sockets lie deep inside, and their paths may have 107."""


class RayFolder:
    """A new folder that only this user may enter: so is what lies in it, and nothing is left in /tmp/ray.

    Raises:
        OSError: it cannot be made.
        ValueError: likewise.
    """

    def __init__(self) -> None:
        parent = tempfile.gettempdir()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent if len(parent) < LONGEST_PARENT else "/tmp"))
        self._lock = WriteLock(self.path)
        remove_left_overs(self.path)

    def remove(self) -> None:
        """With all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def remove_left_overs(own: Path) -> None:
    """Remove the folders beside our own whose runs are no more: those that have a lock which nobody holds."""
    for folder in own.parent.glob(f"{PREFIX}*"):
        try:
            # Without one it is just being made. One's own lock one would get a second time.
            if folder == own or folder.is_symlink() or not (folder / ".lock").exists():
                continue
            lock = WriteLock(folder, wait_seconds=0)
        except (OSError, ValueError):  # of another user, or somebody is at work there
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
