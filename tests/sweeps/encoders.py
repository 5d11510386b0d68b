"""The embedded encoder with something the matter."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from fasttext2style.guidance.tiny_encoder import TinyEncoder

DEADLY = "blue denim"


class Mortal(TinyEncoder):
    """Kills its process the first time that it is asked for a certain sentence by a worker.

    `weights` is a folder: each one that is loaded, and each death, leaves a file in it.
    """

    def __init__(self, device="cpu", weights: str = "") -> None:
        super().__init__(device=device)
        self.folder = Path(weights)
        (self.folder / f"loaded_{os.getpid()}").touch()

    def embed_texts(self, texts):
        killed = self.folder / "killed"
        if DEADLY in texts and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_texts(texts)
