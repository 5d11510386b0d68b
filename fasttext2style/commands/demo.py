"""ft2s demo: the main job on the embedded scene."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Demo:
    """Style an object of the embedded scene with the embedded encoder: no capture, no downloads, no GPU needed."""

    prompt: str = "a bear made of gold"
    """The sentence."""
    output: Path = Path("demo")
    """Folder for the scene and the results."""
    steps: int = 0
    """Styling steps; 0 takes the method's default."""
    size: int = 256
    """Side of the capture's pictures, in pixels."""

    def run(self) -> None:
        started = time.perf_counter()
        from fasttext2style.plugin.runs.demo import run_demo

        run_demo(self.prompt, self.output, self.steps, self.size)
        print(f"All in {time.perf_counter() - started:.0f} s.")
