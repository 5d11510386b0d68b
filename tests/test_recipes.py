"""Every recipe in configs/ is a command line that today's ns-train accepts, and does what its head says."""

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
    assert config.method_name == ("fasttext2style-ip2p" if recipe.stem.startswith("ip2p") else "fasttext2style")
    assert config.prompt == "gold"


@pytest.mark.parametrize(
    "name, edits, steps",
    [
        ("instruct_gs", 10 * 30, 25_000),
        ("instruct_gs2gs", 3 * 251, 7_500),
        ("instruct_nerf2nerf", 1_500, 15_000),
        ("algorithm_3", 4 * 251, 4 * 251),
        ("algorithm_4", 4 * 251, 4 * 20 * 4),
        ("laptop", 3 * 12, 300),
    ],
)
def test_recipes_of_rounds_edit_and_train_as_their_sources(name, edits, steps, parse):
    """Edited views and training steps in all, for a capture of 251 views (that of FastText2ObjectStyle)."""
    recipe = next(path for path in RECIPES if path.stem == f"ip2p_{name}")
    config = parse([*_command(recipe), "--data", "capture", "--prompt", "gold"])
    rounds = config.pipeline.rounds
    plan = rounds.schedule.resolved(shown_views=251, on_cuda=name != "laptop")
    assert plan.total_steps == steps
    assert plan.rounds * plan.views * sum(plan.edits_at(step) for step in range(plan.steps_per_round)) == edits
    conditions = {"instruct_gs": "render", "laptop": "original", "algorithm_3": "masked photograph"}
    assert rounds.edit.condition == conditions.get(name, "photograph")
    # The sources train towards what the editor returns, as it is.
    assert name == "laptop" or config.pipeline.mode != "restyle" or not rounds.edit.detail


def test_there_are_recipes():
    assert len(RECIPES) >= 4
