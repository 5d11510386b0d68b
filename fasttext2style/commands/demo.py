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
    """Side of the capture's pictures, in pixels: 32 to 2048."""

    def run(self) -> None:
        started = time.perf_counter()
        # Before nerfstudio is imported, which takes longer than all of this.
        from fasttext2style.guidance.load import load_encoder
        from fasttext2style.guidance.prompts import check_prompt

        if self.steps < 0:
            raise ValueError(f"--steps must be 1 or more, or 0 for the method's default, got {self.steps}.")
        if not 32 <= self.size <= 2048:
            raise ValueError(f"--size must be 32 to 2048 pixels, got {self.size}.")
        # Of words that are only guessed the run itself warns.
        check_prompt(load_encoder("tiny"), self.prompt)
        from fasttext2style.plugin.runs.demo import run_demo

        run_demo(self.prompt, self.output, self.steps, self.size)
        print(f"All in {time.perf_counter() - started:.0f} s.")
