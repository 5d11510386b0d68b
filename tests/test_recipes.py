"""Every shipped recipe is a command line that today's ns-train accepts, and does what its head says."""

import functools
import shlex

import pytest

from fasttext2style.plugin.runs.recipe import parse_line
from fasttext2style.recipes.recipe import read_recipe
from fasttext2style.recipes.shipped import shipped_recipes

RECIPES = shipped_recipes()
GIVEN = ["--data", "capture", "--prompt", "gold"]

# What the sources' conditions were written down as first: command lines of ns-train, option by option.
LINES = {
    "laptop": "fasttext2style --encoder tiny --vis tensorboard",
    "relief": """fasttext2style --pipeline.styler.train features_dc features_rest scales means
        --pipeline.growth.enabled True""",
    "paper_algorithm_1": """fasttext2style --encoder ViT-B-32 --pipeline.styler.objective.loss cosine
        --pipeline.styler.objective.patches-per-view 0 --pipeline.styler.views-per-step 1""",
    "paper_algorithm_2": """fasttext2style --encoder ViT-B-32 --pipeline.styler.objective.loss nll
        --pipeline.styler.objective.temperature 1.0 --pipeline.styler.objective.patches-per-view 0
        --pipeline.styler.objective.content vgg --pipeline.styler.objective.content-weight 0.1
        --pipeline.styler.views-per-step 64 --max-num-iterations 79""",
    "ip2p_laptop": "fasttext2style-ip2p --editor tiny --vis tensorboard --pipeline.rounds.schedule.views 12",
    "ip2p_algorithm_3": """fasttext2style-ip2p
        --pipeline.rounds.schedule.rounds 4 --pipeline.rounds.schedule.steps 251 --pipeline.rounds.schedule.batch 1
        --pipeline.rounds.schedule.views 1 --pipeline.rounds.schedule.edit-every 1
        --pipeline.rounds.schedule.choice turn --pipeline.rounds.schedule.train-on newest
        --pipeline.rounds.schedule.reset-adam False --pipeline.rounds.edit.condition "masked photograph"
        --pipeline.rounds.edit.detail False --pipeline.rounds.losses.l2-weight 1""",
    "ip2p_algorithm_4": """fasttext2style-ip2p --pipeline.datamanager.max-image-size 128
        --pipeline.rounds.schedule.rounds 4 --pipeline.rounds.schedule.epochs 20 --pipeline.rounds.schedule.batch 64
        --pipeline.rounds.edit.condition photograph --pipeline.rounds.edit.steps 20
        --pipeline.rounds.edit.strength 0.7 0.98 --pipeline.rounds.edit.guidance 12
        --pipeline.rounds.edit.image-guidance 1.75 --pipeline.rounds.edit.detail False
        --pipeline.rounds.losses.l2-weight 1 --pipeline.rounds.losses.lpips-weight 3""",
    "ip2p_instruct_gs": """fasttext2style-ip2p
        --pipeline.rounds.schedule.rounds 10 --pipeline.rounds.schedule.steps 2500
        --pipeline.rounds.schedule.views 30 --pipeline.rounds.schedule.choice residual
        --pipeline.rounds.edit.detail False --pipeline.rounds.edit.condition render
        --pipeline.rounds.edit.steps 20 --pipeline.rounds.edit.guidance 7.5""",
    "ip2p_instruct_gs2gs": """fasttext2style-ip2p --object everything --mode replace --pipeline.growth.max-factor 1
        --pipeline.rounds.schedule.rounds 3 --pipeline.rounds.schedule.steps 2500 --pipeline.rounds.schedule.batch 1
        --pipeline.rounds.schedule.reset-adam False --pipeline.rounds.edit.condition photograph
        --pipeline.rounds.edit.steps 20 --pipeline.rounds.edit.strength 0.7 0.98
        --pipeline.rounds.edit.guidance 12.5 --pipeline.rounds.edit.image-guidance 1.5""",
    "ip2p_instruct_nerf2nerf": """fasttext2style-ip2p --object everything --mode replace
        --pipeline.growth.max-factor 1 --pipeline.rounds.schedule.rounds 15 --pipeline.rounds.schedule.steps 1000
        --pipeline.rounds.schedule.batch 1 --pipeline.rounds.schedule.views 1
        --pipeline.rounds.schedule.edit-every 10 --pipeline.rounds.schedule.choice turn
        --pipeline.rounds.schedule.train-on dataset --pipeline.rounds.schedule.reset-adam False
        --pipeline.rounds.edit.condition photograph --pipeline.rounds.edit.strength 0.7 0.98
        --pipeline.rounds.edit.guidance 7.5 --pipeline.rounds.edit.image-guidance 1.5""",
    "nerf_instruct_nerf2nerf": """fasttext2style-nerf
        --pipeline.rounds.schedule.rounds 15 --pipeline.rounds.schedule.steps 1000
        --pipeline.rounds.schedule.views 1 --pipeline.rounds.schedule.edit-every 10
        --pipeline.rounds.schedule.choice order --pipeline.rounds.schedule.train-on dataset
        --pipeline.rounds.schedule.patch 32 --pipeline.rounds.schedule.batch 16
        --pipeline.rounds.schedule.reset-adam False --pipeline.rounds.edit.condition photograph
        --pipeline.rounds.edit.strength 0.7 0.98 --pipeline.rounds.edit.steps 20
        --pipeline.rounds.edit.guidance 7.5 --pipeline.rounds.edit.image-guidance 1.5
        --pipeline.rounds.edit.detail False --pipeline.rounds.edit.shared-noise False""",
    "nerf_laptop": """fasttext2style-nerf --editor tiny --vis tensorboard
        --pipeline.datamanager.max-image-size 64 --pipeline.rounds.schedule.views 12""",
}
LINES["nerf_instruct_nerf2nerf_code"] = LINES["nerf_instruct_nerf2nerf"].replace("0.7 0.98", "0.02 0.98")
METHODS = {"ip2p": "fasttext2style-ip2p", "nerf": "fasttext2style-nerf"}


@functools.cache
def _parsed(name):
    """Through the line that is printed, quotes and all."""
    return parse_line(shlex.split(shlex.join(read_recipe(RECIPES[name]).words(GIVEN))))


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_is_a_line_that_ns_train_accepts(name):
    config = _parsed(name)
    assert config.method_name == METHODS.get(name[:4], "fasttext2style")
    assert config.prompt == "gold" and str(config.data) == "capture"


@pytest.mark.parametrize("name", LINES)
def test_a_recipe_has_the_settings_that_its_source_was_written_down_with(name):
    assert _parsed(name) == parse_line(shlex.split(LINES[name]) + GIVEN)


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_says_what_it_is_about_and_what_it_takes(name):
    recipe = read_recipe(RECIPES[name])
    assert len(recipe.about) > 40 and recipe.time and recipe.memory
    assert "cuda" in recipe.needs or name in ("laptop", "relief", "paper_algorithm_1", "ip2p_laptop", "nerf_laptop")


@pytest.mark.parametrize(
    "name, edits, steps",
    [
        ("ip2p_instruct_gs", 10 * 30, 25_000),
        ("ip2p_instruct_gs2gs", 3 * 251, 7_500),
        ("ip2p_instruct_nerf2nerf", 1_500, 15_000),
        ("nerf_instruct_nerf2nerf", 1_500, 15_000),
        ("nerf_instruct_nerf2nerf_code", 1_500, 15_000),
        ("ip2p_algorithm_3", 4 * 251, 4 * 251),
        ("ip2p_algorithm_4", 4 * 251, 4 * 20 * 4),
        ("ip2p_laptop", 3 * 12, 300),
    ],
)
def test_recipes_of_rounds_edit_and_train_as_their_sources(name, edits, steps):
    """Edited views and training steps in all, for a capture of 251 views (that of FastText2ObjectStyle)."""
    config = _parsed(name)
    rounds = config.pipeline.rounds
    plan = rounds.schedule.resolved(shown_views=251, on_cuda=name != "ip2p_laptop")
    assert plan.total_steps == steps
    assert plan.rounds * plan.views * sum(plan.edits_at(step) for step in range(plan.steps_per_round)) == edits
    conditions = {"ip2p_instruct_gs": "render", "ip2p_laptop": "original", "ip2p_algorithm_3": "masked photograph"}
    assert rounds.edit.condition == conditions.get(name, "photograph")
    # The sources train towards what the editor returns, as it is.
    assert name == "ip2p_laptop" or config.pipeline.mode != "restyle" or not rounds.edit.detail


def test_the_recipes_of_all_sources_are_there():
    assert LINES.keys() <= RECIPES.keys()
