"""Whatever stands in a recipe, it is read as it was meant, or refused: field, what was expected, the nearest field."""

import shlex

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttext2style.plugin.runs.recipe import parse_line
from fasttext2style.recipes.methods import default_config, method_names
from fasttext2style.recipes.plain_yaml import write_yaml
from fasttext2style.recipes.recipe import Recipe, parse_recipe
from fasttext2style.recipes.shipped import find_recipe, shipped_recipes

OURS = ("fasttext2style", "fasttext2style-ip2p", "fasttext2style-nerf", "fasttext2style-scene")
ROUNDS = """
method: fasttext2style-ip2p
prompt: turn it into gold
settings:
  pipeline:
    editor: tiny
    rounds:
      schedule: {rounds: 2, steps: 30}
      edit: {condition: render}
"""


def _refused(text, name="my.yaml"):
    with pytest.raises(ValueError) as refusal:
        parse_recipe(text, name)
    return str(refusal.value)


def _config(text, *options):
    return parse_line(shlex.split(shlex.join(parse_recipe(text).words(options))))


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _changed(old, new):
    assert old in ROUNDS
    return ROUNDS.replace(old, new)


@pytest.mark.parametrize(
    "text, expected",
    [
        # Misspelt, deep down and at the top.
        (_changed("rounds: 2", "rouns: 2"), ["settings.pipeline.rounds.schedule.rouns", "did you mean rounds?"]),
        (_changed("settings:", "setings:"), ["setings: there is no such field", "did you mean settings?"]),
        # Right, but in another place.
        (
            _changed("editor: tiny", "editor: tiny\n    steps: 3"),
            ["settings.pipeline.steps", "settings.pipeline.rounds.schedule.steps"],
        ),
        (_changed("editor: tiny", "prompt: x"), ["settings.pipeline.prompt", "stands at the top of a recipe"]),
        (_changed("prompt:", "encoder: x\nprompt:"), ["encoder: there is no such field", "settings.pipeline.encoder"]),
        # A file of nerfstudio's settings, which runs what it says.
        (_changed("settings:", "settings:\n  load_config: x.yml"), ["settings.load_config: such a file replaces all"]),
        # Hyphens, as on the command line.
        (_changed("rounds: 2", "edit-every: 2"), ["did you mean edit_every?"]),
        # Values of another type.
        (_changed("rounds: 2", "rounds: two"), ["schedule.rounds: expected a whole number, got the text 'two'"]),
        (_changed("rounds: 2", "rounds: 2.5"), ["expected a whole number, got 2.5"]),
        (_changed("rounds: 2", "rounds: true"), ["expected a whole number, got true"]),
        (_changed("rounds: 2", "reset_adam: 1"), ["expected true or false, got 1"]),
        (_changed("rounds: 2", "rounds: [2]"), ["expected a whole number, got the list [2]"]),
        (_changed("{rounds: 2, steps: 30}", "3"), ["schedule: expected settings by name", "rounds, steps", "got 3"]),
        (_changed("tiny", "{a: 1}"), ["settings.pipeline.editor: expected text, got a mapping (a)"]),
        (_changed("tiny", ""), ["settings.pipeline.editor: expected text, got nothing"]),
        (_changed("render", "render, strength: 0.7"), ["strength: expected a list of 2 (a number, a number), got 0.7"]),
        (_changed("render", "render, strength: [0.7]"), ["strength: expected a list of 2", "got 1 entries"]),
        (_changed("render", "render, strength: [0.7, x]"), ["strength: expected a number, got the text 'x'"]),
        # None of the choices.
        (
            _changed("render", "photo"),
            ["expected one of original, render, photograph, masked photograph, got the text 'photo'"],
        ),
        (_changed("render", "photografh"), ["did you mean photograph?"]),
        # The method and the data parser.
        (
            _changed("fasttext2style-ip2p", "fasttext2style-ip2"),
            ["no method 'fasttext2style-ip2'", "fasttext2style-ip2p"],
        ),
        (_changed("method: fasttext2style-ip2p", ""), ["method: it is missing"]),
        (ROUNDS + "dataparser: nerfstudio\n", ["no such data parser", "did you mean nerfstudio-data?"]),
        (
            ROUNDS + "dataparser: {nerfstudio-data: {orientation: none}}\n",
            ["dataparser.nerfstudio-data.orientation", "did you mean orientation_method?"],
        ),
        (
            ROUNDS + "dataparser: {nerfstudio-data: {orientation_method: down}}\n",
            ["dataparser.nerfstudio-data.orientation_method: expected one of pca, up, vertical, none"],
        ),
        # What no command line can hold.
        (_changed("turn it into gold", '"a\\0b"'), ["prompt: expected text", "no command line can hold"]),
        (_changed("turn it into gold", "None"), ["prompt: the text None means nothing"]),
        # Text that is no YAML, or more than plain values.
        ("", ["my.yaml is empty"]),
        ("# nothing\n", ["my.yaml is empty"]),
        ("gold", ["expected fields", "got the text 'gold'"]),
        ("[method]", ["expected fields", "got the list ['method']"]),
        (_changed("    editor", "\t editor"), ["line 6, column 1: a tab; indent with spaces"]),
        (_changed("tiny", "[tiny"), ["my.yaml is no YAML", "line 7"]),
        (_changed("tiny", "!!python/object/apply:os.getcwd []"), ["line 6, column 13: the tag !!python/object/apply"]),
        (_changed("tiny", "!!binary aGk="), ["the tag !!binary is not read"]),
        (_changed("tiny", "&one tiny"), ["anchors and aliases"]),
        ("a: &a [*a]", ["anchors and aliases"]),
        ("a: 1\n---\nb: 1", ["my.yaml is no YAML"]),
        ("[" * 5000, ["too many brackets"]),
        (_changed("rounds: 2", "rounds: " + "9" * 5000), ["a number of too many digits"]),
        (_changed("rounds: 2", "rounds: 2, rounds: 3"), ["`rounds` stands twice, in lines 8 and 8"]),
        (ROUNDS + "prompt: x\n", ["`prompt` stands twice, in lines 3 and 10"]),
        ("? {a: 1}\n: 2", ["a name is expected before the colon"]),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_what_was_expected(text, expected):
    said = _refused(text)
    assert said.startswith("my.yaml ")
    for part in expected:
        assert part in said, said


def test_all_mistakes_are_said_at_once():
    text = _changed("rounds: 2", "rounds: two, setps: 3").replace("render", "photo") + "tim: 3 s\n"
    said = _refused(text)
    assert said.splitlines()[0] == "my.yaml has 4 mistakes:"
    for field in ("tim:", "schedule.rounds:", "schedule.setps:", "edit.condition:"):
        assert field in said


def test_a_file_that_is_no_text_is_refused(tmp_path):
    from fasttext2style.recipes.recipe import read_recipe

    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match=r"picture\.yaml is no recipe: it is not text in UTF-8"):
        read_recipe(path)
    with pytest.raises(ValueError, match="cannot be read"):
        read_recipe(tmp_path)


def test_names_of_recipes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_recipe("laptop") == shipped_recipes()["laptop"]
    with pytest.raises(ValueError, match="Did you mean laptop"):
        find_recipe("labtop.yaml")
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="folder without a recipe"):
        find_recipe("run")
    (tmp_path / "run" / "recipe.yaml").write_text(ROUNDS)
    assert find_recipe("run").read_text() == ROUNDS


# --- what is read -----------------------------------------------------------------------------------------------------


def test_lpips_on_is_a_choice_and_no_truth_value():
    config = _config(ROUNDS + "", "--vis", "tensorboard")
    assert config.pipeline.rounds.losses.lpips == "auto"
    config = _config(_changed("edit: {condition: render}", "losses: {lpips: on}"))
    assert config.pipeline.rounds.losses.lpips == "on"


WORDS = st.sampled_from(
    [
        *["method", "settings", "pipeline", "rounds", "schedule", "steps", "prompt", "data", "dataparser", "about"],
        *["needs", "nerfstudio-data", "fasttext2style", "fasttext2style-ip2p", "edit", "strength", "object", "click"],
        *["optimizers", "means", "optimizer", "lr", "-", ":", "{", "}", "[", "]", ",", "?", "|", ">", "&", "*", "!"],
        *["!!str", "%", "@", "#", "~", "null", "true", "1", "-1", "1e3", ".5", "'", '"', "0x", "0b_", "=", "<<"],
    ]
)
LINES = st.lists(st.tuples(st.integers(0, 5), st.lists(WORDS, max_size=5)), max_size=8).map(
    lambda lines: "\n".join(" " * indent + " ".join(words) for indent, words in lines)
)
TREES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)
DOCUMENTS = st.fixed_dictionaries(
    {"method": st.sampled_from(OURS) | st.text(max_size=3)},
    optional={
        "about": TREES,
        "needs": TREES,
        "prompt": TREES,
        "data": TREES,
        "settings": TREES | st.fixed_dictionaries({"pipeline": TREES}),
        "dataparser": TREES | st.dictionaries(st.just("nerfstudio-data"), TREES),
    },
).map(lambda document: yaml.safe_dump(document, allow_unicode=True))


@given(st.text() | LINES | DOCUMENTS)
@settings(max_examples=300)
def test_any_text_is_a_recipe_or_refused_in_words(text):
    try:
        recipe = parse_recipe(text)
    except ValueError as error:
        assert type(error) is ValueError and str(error)
    else:
        assert isinstance(recipe, Recipe) and recipe.words()[0] in method_names()


# --- options win ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--prompt", "--pipeline.model.prompt"])
def test_a_prompt_on_the_command_line_wins(option):
    config = _config(ROUNDS, option, "turn it into ice")
    assert (config.prompt or config.pipeline.model.prompt) == "turn it into ice"


@pytest.mark.parametrize("option", ["--editor", "--pipeline.editor", "--pipeline.editor=other"])
def test_an_option_wins_under_all_its_names(option):
    words = parse_recipe(ROUNDS).words([option] if "=" in option else [option, "other"])
    assert "tiny" not in words
    assert parse_line(words).pipeline.editor == "other"


def test_points_on_the_command_line_replace_those_of_the_recipe():
    # ns-train would add them to those that came before.
    text = _changed("editor: tiny", "object: {click: [[0, 1, 2], [3, 4, 5.5]]}")
    assert _config(text).pipeline.object.click == [(0, 1.0, 2.0), (3, 4.0, 5.5)]
    assert _config(text, "--object-click", "9", "8", "7").pipeline.object.click == [(9, 8.0, 7.0)]


PARSED = ROUNDS + "dataparser: {nerfstudio-data: {orientation_method: none, scale_factor: 2}}\n"


@pytest.mark.parametrize(
    "options, orientation, scale",
    [
        ([], "none", 2.0),
        (["--vis", "tensorboard"], "none", 2.0),
        (["nerfstudio-data"], "none", 2.0),
        (["--vis", "tensorboard", "nerfstudio-data", "--scale-factor", "3"], "none", 3.0),
        (["nerfstudio-data", "--orientation-method=up"], "up", 2.0),
        (["--experiment-name", "blender-data"], "none", 2.0),
    ],
)
def test_options_of_the_data_parser_win_one_by_one(options, orientation, scale):
    config = _config(PARSED, *options)
    parser = config.pipeline.datamanager.dataparser
    assert (parser.orientation_method, parser.scale_factor) == (orientation, scale)
    assert config.pipeline.rounds.schedule.rounds == 2
    assert not parser.load_3D_points, "the method's own default"


def test_another_data_parser_replaces_that_of_the_recipe():
    assert type(_config(PARSED, "blender-data").pipeline.datamanager.dataparser).__name__ == "BlenderDataParserConfig"


@pytest.mark.parametrize("prompt", ['it\'s "gold" & $HOME `ls`\n#', "-x --y", "--vis", "-5", "=", "äöü 金", " "])
def test_any_sentence_survives_the_line_that_is_printed(prompt):
    assert _config(write_yaml({"method": "fasttext2style", "prompt": prompt})).prompt == prompt
    assert default_config("fasttext2style").prompt is None
