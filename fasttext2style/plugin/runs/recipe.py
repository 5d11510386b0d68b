"""A recipe, run: the line that it comes to is printed, and is what nerfstudio's own train command is given."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import torch
import tyro
from nerfstudio.configs.method_configs import AnnotatedBaseConfigUnion
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.scripts import train

from fasttext2style.recipes.recipe import Recipe
from fasttext2style.terminal.console import say, warn
from fasttext2style.trust.text import one_line


def parse_line(words: Sequence[str]) -> TrainerConfig:
    """The settings that `ns-train` takes from the words after its name; wrong ones end the program in tyro's words."""
    return tyro.cli(AnnotatedBaseConfigUnion, prog="ns-train", args=list(words))


def run_recipe(recipe: Recipe, options: Sequence[str] = ()) -> None:
    """Print the `ns-train` line of a recipe, with options that win over it, and run that line."""
    words = recipe.words(options)
    say(one_line(shlex.join(["ns-train", *words]), 100_000), wrap=False)
    for name in ("about", "time", "memory"):
        if getattr(recipe, name):
            say(f"  {name}: {one_line(getattr(recipe, name))}")
    if "cuda" in map(str.lower, recipe.needs) and not torch.cuda.is_available():
        warn("This recipe is meant for a GPU with CUDA, and there is none: it will take very long.")
    train.main(parse_line(words))
