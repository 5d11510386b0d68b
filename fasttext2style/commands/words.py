"""ft2s words: what the embedded encoder understands."""

from __future__ import annotations

from dataclasses import dataclass

from fasttext2style.guidance.tiny_words import read_vocabulary


@dataclass
class Words:
    """List the words that the embedded encoder knows."""

    def run(self) -> None:
        print(", ".join(sorted(read_vocabulary().style)))
