"""ft2s words: what the embedded encoder understands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Words:
    """List the words that the embedded encoder knows."""

    def run(self) -> None:
        from fasttext2style.guidance.tiny_encoder import TinyEncoder

        print(", ".join(TinyEncoder().known_words))
