"""Paths that settings name from one folder are found from every other: by the recipe of a run, and when it goes on."""

import dataclasses
import os
from copy import deepcopy
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from fasttext2style.plugin.host.old_runs import read_config
from fasttext2style.plugin.runs.recipe import parse_line
from fasttext2style.recipes.methods import default_config
from fasttext2style.recipes.paths import make_absolute
from fasttext2style.recipes.recipe import read_recipe
from fasttext2style.recipes.settings import TOP, differences, type_hints
from fasttext2style.recipes.values import bare
from tests.plugin.rounds_host import rounds_capture, rounds_config

OURS = ("fasttext2style", "fasttext2style-ip2p", "fasttext2style-nerf", "fasttext2style-scene")
DATAPARSER = "pipeline.datamanager.dataparser"
WITHIN_THE_RUN = {"relative_model_dir", "logging.relative_log_dir"}
TEXTS_OR_PATHS = {
    *("pipeline.editor", "pipeline.editor_settings", "pipeline.encoder_weights", "pipeline.feature_weights"),
    *("pipeline.object.segmenter", "pipeline.masks.segmenter", "segmenter", "pipeline.rounds.losses.lpips_weights"),
    *("pipeline.styler.objective.content_weights", "pipeline.rounds.losses.text.content_weights"),
}
NO_PATHS = {
    *("method_name", "experiment_name", "project_name", "timestamp", "prompt", "pipeline.model.prompt", "vis"),
    *("machine.dist_url", "machine.device_type", "viewer.relative_log_filename", "viewer.websocket_host"),
    *("pipeline.encoder", "pipeline.object.text", "pipeline.masks.text", "pipeline.rounds.edit.negative"),
    *("pipeline.styler.objective.loss", "pipeline.styler.objective.negatives"),
    *("pipeline.styler.objective.source_text", "pipeline.workers"),
}


def _fields(config, path=""):
    """Path, group and name of all that is no group, by dataclasses alone."""
    for entry in dataclasses.fields(config):
        here, value = f"{path}{entry.name}", getattr(config, entry.name)
        if here == DATAPARSER or entry.name.startswith("_"):
            continue
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _fields(value, f"{here}.")
        else:
            yield here, config, entry.name


def _leaves(hint):
    """The types that values of a type hint are made of; of a dict those of its values."""
    hint, inner = bare(hint), get_args(bare(hint))
    if get_origin(hint) is Literal:
        return set()
    if get_origin(hint) is dict:
        inner = inner[1:]
    return set().union(*map(_leaves, inner)) if inner else {hint}


def _holds(group, name, kind):
    return kind in _leaves(type_hints(type(group))[name])


def _filled(method):
    """A config of which every path is named from the present folder; and these paths."""
    config, named = deepcopy(default_config(method)), set()
    for path, group, name in _fields(config):
        file = path.replace(".", "-")
        if (_holds(group, name, Path) or path in TEXTS_OR_PATHS) and path not in WITHIN_THE_RUN:
            Path(file).mkdir()
            value = file if path in TEXTS_OR_PATHS else Path(file)
            setattr(group, name, {"lora": value} if path == "pipeline.editor_settings" else value)
            named.add(path)
    config.pipeline.datamanager.dataparser.data = Path("data")
    return config, named


def _at(config, path):
    for name in path.split("."):
        config = getattr(config, name)
    return config["lora"] if isinstance(config, dict) else config


@pytest.mark.parametrize("method", OURS)
def test_every_path_of_a_method_is_made_absolute(method, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, named = _filled(method)
    make_absolute(config)
    got = {path: _at(config, path) for path in named}
    assert got == {path: type(it)(tmp_path / path.replace(".", "-")) for path, it in got.items()}
    assert config.pipeline.datamanager.dataparser.data == tmp_path / "data"
    assert config.relative_model_dir == Path("nerfstudio_models") and config.logging.relative_log_dir == Path(".")
    once = deepcopy(config)
    monkeypatch.chdir("/")
    make_absolute(config)
    assert config == once


@pytest.mark.parametrize("method", OURS)
def test_of_every_text_it_is_known_whether_it_may_be_a_path(method):
    """A new setting: a file or folder is a Path, or marked by `OrPath`; any other text is in the list above."""
    for path, group, name in _fields(default_config(method)):
        if _holds(group, name, str):
            is_marked = "OrPath(" in str(type_hints(type(group))[name])
            assert is_marked == (path in TEXTS_OR_PATHS) and path in TEXTS_OR_PATHS | NO_PATHS, path


@pytest.mark.parametrize("method", OURS)
def test_a_run_and_its_recipe_name_the_same_files_from_every_folder(method, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, _ = _filled(method)
    monkeypatch.setattr(type(config), "check_start", lambda config: None)  # the files are empty
    monkeypatch.setattr(type(config), "keep_inputs", lambda config: None)
    config.load_config, config.timestamp, config.prompt = None, "now", "gold"
    config.pipeline.model.prompt, config.experiment_name = "gold", "x"
    config.pipeline.datamanager.data = config.data
    config.save_config()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    folder = config.get_base_dir()
    assert folder.is_relative_to(tmp_path) and read_config(folder / "config.yml") == config
    again = parse_line(read_recipe(folder / "recipe.yaml").words())
    make_absolute(again)
    for path, group, name in _fields(config):
        if path not in {"timestamp", "run_folder", "load_config", *TOP.values()}:
            assert _at_or_none(again, path) == getattr(group, name), path


def _at_or_none(config, path):
    for name in path.split("."):
        config = getattr(config, name)
    return config


def test_a_name_that_means_something_is_not_the_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = deepcopy(default_config("fasttext2style-ip2p"))
    config.pipeline.editor, config.pipeline.object.segmenter, config.pipeline.model.prompt = "tiny", "clipseg", "bear"
    config.pipeline.editor_settings = {"batch_size": "4"}
    config.pipeline.feature_weights = "encoder"
    for name in ("tiny", "clipseg", "bear", "encoder"):
        (tmp_path / name).mkdir()
    before = deepcopy(config)
    make_absolute(config)
    assert differences(before, config) == ({"output_dir": str(tmp_path / "outputs")}, [])


def test_rounds_are_started_in_one_folder_and_taken_up_in_another(tmp_path, monkeypatch):
    """By an object in a file and an editor in a folder, both named from where it began."""
    from fasttext2style.editors.diffusion.folder import TINY

    capture = rounds_capture(tmp_path / "capture")
    monkeypatch.chdir(capture)
    os.symlink(TINY, "myeditor")
    config = rounds_config(capture, tmp_path / "outputs", rounds=1, steps=1)
    config.pipeline.object.file, config.load_ply = Path("ball.npy"), Path("scene.ply")
    config.pipeline.editor = "./myeditor"
    with monkeypatch.context() as unchecked:
        unchecked.setattr(type(config), "check_start", lambda config: None)
        config.save_config()
    monkeypatch.chdir(tmp_path)
    again = parse_line(read_recipe(config.get_base_dir() / "recipe.yaml").words())
    for taken_up in (read_config(config.get_base_dir() / "config.yml"), again):
        assert taken_up.pipeline.object.file == capture / "ball.npy" and taken_up.load_ply == capture / "scene.ply"
        assert taken_up.pipeline.editor == str(capture / "myeditor")
    again.timestamp, again.pipeline.model.prompt = "again", again.prompt  # as ns-train does
    again.pipeline.datamanager.data = again.data
    again.check_start().lock.release()
