"""ft2s run: a recipe, as a run of nerfstudio's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass
class Run:
    """Run a recipe: settings in YAML, shipped ones by name. The ns-train line that it comes to is printed first."""

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """A .yaml, the folder of a run (what it was set to), or the name of a shipped recipe, such as laptop."""
    options: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NS-TRAIN OPTIONS")] = ()
    """All that ns-train takes, such as --data CAPTURE --prompt SENTENCE; it wins over what the recipe says."""

    trust: bool = False
    """Of a recipe in the folder of a run that you did not write on this machine: import the code that it names (an
    editor, encoder, loss or segmenter as module:attribute), and let it be seen by others if it says so."""

    def run(self) -> None:
        from fasttext2style.recipes.recipe import read_recipe
        from fasttext2style.recipes.shipped import find_recipe

        recipe = read_recipe(find_recipe(self.recipe))
        from fasttext2style.plugin.runs.recipe import run_recipe
        from fasttext2style.plugin.runs.trust import recipe_by_whom

        with recipe_by_whom(self.recipe, recipe, self.options, self.trust):
            run_recipe(recipe, self.options)
