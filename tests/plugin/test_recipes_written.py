"""What a run was set to, written down and read again, is the same run."""

import shlex
from copy import deepcopy
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from nerfstudio.scripts import train

from fasttext2style.plugin.runs.recipe import parse_line
from fasttext2style.recipes.methods import default_config
from fasttext2style.recipes.recipe import parse_recipe, read_recipe
from fasttext2style.recipes.settings import DATAPARSER, differences, every_field
from fasttext2style.recipes.values import typed
from fasttext2style.recipes.written import recipe_of

OURS = ("fasttext2style", "fasttext2style-ip2p", "fasttext2style-nerf", "fasttext2style-scene")


def _line(text, *options):
    """Through the line that is printed, quotes and all."""
    return parse_line(shlex.split(shlex.join(parse_recipe(text).words(options))))


def _other(value, hint):
    """A value of the type `hint` that is not `value`, as YAML has it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return next(choice for choice in reversed(inner) if choice != value)
    if origin is dict:
        return {"some": 7 if inner[1] is int else 0.25} if inner[1] is not str else {"some": "thing", "other": "1"}
    if origin is list or (origin is tuple and inner[-1] is Ellipsis):
        return [_other(None, inner[0]), _other(None, inner[0])]
    if origin is tuple:
        return [_other(None, entry) for entry in inner]
    if inner:  # a union; None is the default of most
        return _other(value or 0, inner[0])
    if hint is bool:
        return not value
    if hint in (int, float):
        return -12 if hint is int else -2.5e-7
    if hint in (str, Path):
        # One of several words cannot begin with a hyphen.
        return "--a path/with spaces" if value is not None else "a path/with spaces"
    return next(name for name in hint.__members__)  # an enumeration


def _set(document, path, value):
    *groups, name = path.split(".")
    for group in groups:
        document = document.setdefault(group, {})
    document[name] = value


def _get(config, path):
    for name in path.split("."):
        config = config[name] if isinstance(config, dict) else getattr(config, name)
    return config


@pytest.mark.parametrize("method", OURS)
def test_every_setting_can_be_given_and_comes_back(method):
    """All settings of a method at once, each other than by default: through YAML, the line, ns-train, and back."""
    from fasttext2style.recipes.plain_yaml import write_yaml

    default = default_config(method)
    settings, expected = {}, {}
    for field in every_field(default):
        if not field.is_group:
            value = _other(field.value, field.hint)
            _set(settings, field.path, value)
            expected[field.path] = typed(value, field.hint)
    assert len(expected) > 120
    config = _line(write_yaml({"method": method, "prompt": "gold", "settings": settings}))
    got = {path: _get(config, path) for path in expected}
    assert got == expected
    assert not differences(default, config)[1]
    again = _line(recipe_of(config, "all"), f"--timestamp={config.timestamp}", *_of_one_run(config))
    assert again == config


def _of_one_run(config):
    """Settings that recipes leave out, for they say which run it is."""
    if hasattr(config, "run_folder"):
        return [f"--run-folder={config.run_folder}", f"--refine={config.refine}"]
    return []


@pytest.mark.parametrize("method", OURS)
def test_a_run_by_defaults_has_no_settings_to_write_down(method):
    text = recipe_of(parse_line([method, "--data", "capture", "--prompt", "gold"]), "x")
    assert "settings" not in text and "dataparser" not in text
    assert "data: capture" in text and "prompt: gold" in text


def test_what_ns_train_saves_repeats_the_run(tmp_path, monkeypatch):
    """nerfstudio's own train command, up to where training begins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "launch", lambda **_: None)
    # There is no such capture, and no such run.
    monkeypatch.setattr(type(default_config("fasttext2style-ip2p")), "check_start", lambda config: None)
    words = [
        *["fasttext2style-ip2p", "--data", "captures/bear", "--prompt", "it's gold", "--editor", "tiny"],
        *["--object-click", "1", "2", "3.5", "--pipeline.editor-settings", "batch_size", "4"],
        *["--optimizers.means.optimizer.lr", "1e-7", "--load-dir", "base", "--vis", "tensorboard"],
        *["nerfstudio-data", "--orientation-method", "none", "--downscale-factor", "2"],
    ]
    train.main(parse_line(words))
    (folder,) = (tmp_path / "outputs" / "bear" / "fasttext2style-ip2p").iterdir()
    recipe = read_recipe(folder / "recipe.yaml")
    assert recipe.data == tmp_path / "captures" / "bear" and recipe.prompt == "it's gold"
    # Neither the run's own name nor what follows from the capture and the place.
    given = {setting.field.path for setting in recipe.settings}
    assert given == {
        *["pipeline.editor", "pipeline.object.click", "pipeline.editor_settings"],
        *["optimizers.means.optimizer.lr", "load_dir", "vis"],
    }
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    train.main(parse_line(recipe.words()))
    (again,) = (elsewhere / "outputs" / "bear" / "fasttext2style-ip2p").iterdir()
    first, second = ((place / "recipe.yaml").read_text().splitlines() for place in (folder, again))
    assert [line for line in first if not line.startswith("about:")] == [
        line for line in second if not line.startswith("about:")
    ]
    import yaml

    configs = [yaml.load((place / "config.yml").read_text(), yaml.Loader) for place in (folder, again)]
    for config in configs:
        config.timestamp = config.output_dir = None
    assert configs[0] == configs[1]


def test_what_ns_train_has_no_option_for_is_named():
    config = deepcopy(default_config("fasttext2style"))
    config.optimizers["means"]["scheduler"] = config.optimizers["means"]["optimizer"]
    config.pipeline.styler.train = ("nonsense",)
    text = recipe_of(config, "x")
    assert "no option for it: pipeline.styler.train, optimizers.means.scheduler\n" in text
    assert parse_recipe(text).settings == ()


def test_a_config_from_before_a_field_was_there_is_written_down():
    # As yaml.load makes one of an old config.yml.
    config = deepcopy(default_config("fasttext2style-ip2p"))
    config.pipeline.rounds.schedule.steps = 7
    del config.pipeline.rounds.keep, config.pipeline.styler
    assert [setting.field.path for setting in parse_recipe(recipe_of(config, "x")).settings] == [
        "pipeline.rounds.schedule.steps"
    ]


def test_another_data_parser_is_written_down():
    config = parse_line(["fasttext2style", "--data", "x", "--prompt", "y", "blender-data", "--scale-factor", "2"])
    recipe = parse_recipe(recipe_of(config, "x"))
    assert recipe.words() == [
        *["fasttext2style", "--data", "x", "--prompt", "y", "blender-data", "--scale-factor", "2.0"]
    ]
    assert DATAPARSER not in recipe_of(config, "x")
