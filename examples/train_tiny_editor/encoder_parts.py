"""What this training shares with the tiny encoder's: colours, materials, solids and words, from the folder beside."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "train_tiny_encoder"))
from captions import OBJECTS, SYNONYMS, stranger_words
from materials import COLOURS, MATERIALS, Brush, mix, plain
from shapes import random_surfaces

__all__ = [
    "COLOURS", "MATERIALS", "OBJECTS", "SYNONYMS", "Brush", "mix", "plain", "random_surfaces", "stranger_words",
]  # fmt: skip
