"""The recipes that come with the package, in the folder configs, and how a recipe is found by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from fasttext2style.trust.typed import expanded

FOLDER = Path(__file__).parents[1] / "configs"


def shipped_recipes() -> dict[str, Path]:
    """Name -> file."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The recipe that a path, the folder of a run, or the name of a shipped recipe means.

    Raises:
        ValueError: there is none.
    """
    path, shipped = expanded(name), shipped_recipes()
    if path.is_file():
        return path
    if name in shipped:
        return shipped[name]
    if (path / "recipe.yaml").is_file():
        return path / "recipe.yaml"
    if path.is_dir():
        raise ValueError(f"{path} is a folder without a recipe.yaml. Runs before version 0.1 did not write one.")
    close = difflib.get_close_matches(path.stem, shipped, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Give the path of a .yaml, or one of {', '.join(shipped)}."
    raise ValueError(f"There is no recipe {name}. {hint}")
