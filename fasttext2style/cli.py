"""ft2s: what fasttext2style does besides nerfstudio's own commands."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


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
        from fasttext2style.plugin.demo import run_demo

        run_demo(self.prompt, self.output, self.steps, self.size)


@dataclass
class Words:
    """List the words that the embedded encoder knows."""

    def run(self) -> None:
        from fasttext2style.guidance.tiny_encoder import TinyEncoder

        print(", ".join(TinyEncoder().known_words))


Command = (
    Annotated[Demo, tyro.conf.subcommand("demo", prefix_name=False)]
    | Annotated[Words, tyro.conf.subcommand("words", prefix_name=False)]
)


def entrypoint() -> None:
    """The console script `ft2s`."""
    started = time.perf_counter()
    command = tyro.cli(
        Command,
        description="Type a sentence, and one object of a 3D Gaussian Splatting scene takes on that style. "
        "Captures are styled by nerfstudio's own command: ns-train fasttext2style --data CAPTURE --prompt SENTENCE",
    )
    command.run()
    if isinstance(command, Demo):
        print(f"All in {time.perf_counter() - started:.0f} s.")
