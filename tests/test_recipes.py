"""Every recipe in configs/ is a command line that today's ns-train accepts."""

import shlex
from pathlib import Path

import pytest
import tyro

RECIPES = sorted((Path(__file__).parents[1] / "configs").glob("*.sh"))


def _command(recipe: Path) -> list[str]:
    lines = [line for line in recipe.read_text().splitlines() if not line.startswith("#")]
    words = shlex.split(" ".join(line.removesuffix("\\") for line in lines))
    assert words[:2] == ["exec", "ns-train"]
    return [word for word in words[2:] if word != "$@"]


@pytest.fixture(scope="module")
def parse():
    from nerfstudio.configs.method_configs import AnnotatedBaseConfigUnion

    return lambda words: tyro.cli(AnnotatedBaseConfigUnion, args=words)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_parses(recipe, parse):
    config = parse([*_command(recipe), "--data", "capture", "--prompt", "gold"])
    assert config.method_name == "fasttext2style"
    assert config.prompt == "gold"


def test_there_are_recipes():
    assert len(RECIPES) >= 4
