"""Numbers of nerfstudio's data parsers, and parsers of other formats, are refused by name; what the host says is said
as the host's."""

from __future__ import annotations

import json
import math
import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from nerfstudio.configs.dataparser_configs import all_dataparsers

from fasttext2style.plugin.host.capture import _parser_in_words, read_capture
from fasttext2style.plugin.host.errors import host_in_words
from fasttext2style.plugin.scene.method import fasttext2style_scene
from tests.plugin.hosts import make_capture


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return make_capture(tmp_path_factory.mktemp("parsers") / "capture")


def _settings(capture, parser: str = "nerfstudio-data", **numbers):
    config = deepcopy(fasttext2style_scene.config.pipeline.datamanager)
    config.data, config.dataparser = capture, deepcopy(all_dataparsers[parser])
    for name, value in numbers.items():
        setattr(config.dataparser, name, value)
    return config


@pytest.mark.parametrize("name", ["scale_factor", "scene_scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_capture_has_a_size(capture, name, value):
    """Of 0 all cameras would stand at one place, and below it pictures would be trained on mirrored places."""
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} is a finite number above 0, got {value}"):
        read_capture(_settings(capture, **{name: value}), "cpu", reconstructs=True)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        *(({"eval_mode": "interval", "eval_interval": value}, "--eval-interval is 2 or more") for value in (1, 0, -1)),
        *(
            ({"eval_mode": "fraction", "train_split_fraction": value}, "--train-split-fraction is above 0 and up to 1")
            for value in (0.0, -1.0, 2.0, float("nan"))
        ),
    ],
)
def test_a_split_that_is_none_is_named(capture, numbers, message):
    with pytest.raises(ValueError, match=message):
        read_capture(_settings(capture, **numbers), "cpu", reconstructs=True)


@pytest.mark.parametrize(
    ("parser", "message"), [("dycheck-data", "it looks for .*extra.json"), ("nerfosr-data", "at least one array")]
)
def test_a_parser_of_another_format_is_said_to_be_one(capture, parser, message):
    """One fails while it is made, the other with a ValueError of NumPy's."""
    with pytest.raises(ValueError, match=f"nerfstudio's parser cannot read the capture .*{message}.*`nerfstudio-data`"):
        read_capture(_settings(capture, parser), "cpu", reconstructs=True)


@pytest.fixture(scope="module")
def blender(capture, tmp_path_factory) -> Path:
    """The capture as Blender's synthetic scenes are."""
    folder = tmp_path_factory.mktemp("blender")
    frames = json.loads((capture / "transforms.json").read_text())["frames"]
    for split in ("train", "val", "test"):
        named = [{**frame, "file_path": str((capture / frame["file_path"]).with_suffix(""))} for frame in frames]
        meta = {"camera_angle_x": 0.87, "frames": named}
        (folder / f"transforms_{split}.json").write_text(json.dumps(meta))
    return folder


def test_what_other_parsers_read_of_a_good_capture_is_accepted(blender):
    read = read_capture(_settings(blender, "blender-data"), "cpu", reconstructs=True)
    assert (read.width, read.height, len(read.photographs)) == (48, 48, 10)


@pytest.mark.parametrize(
    ("angle", "message"),
    [(math.nan, "a focal length with nan"), (50.0, "a focal length with -.*in radians"), (0.0, "inf")],
)
def test_a_lens_that_is_none_is_refused_whoever_read_it(blender, tmp_path, angle, message):
    copy = shutil.copytree(blender, tmp_path / "capture")
    for path in copy.glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"camera_angle_x": angle}))
    with pytest.raises(ValueError, match=f"Of the cameras of .* one has .*{message}"):
        read_capture(_settings(copy, "blender-data"), "cpu", reconstructs=True)


def test_cameras_at_one_place_are_refused_whoever_read_them(blender, tmp_path):
    copy = shutil.copytree(blender, tmp_path / "capture")
    for path in copy.glob("*.json"):
        meta = json.loads(path.read_text())
        for frame in meta["frames"]:
            frame["transform_matrix"] = meta["frames"][0]["transform_matrix"]
        path.write_text(json.dumps(meta))
    with pytest.raises(ValueError, match="All 10 cameras stand at one place"):
        read_capture(_settings(copy, "blender-data"), "cpu", reconstructs=True)
    read_capture(_settings(copy, "blender-data"), "cpu", reconstructs=False)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"scale_factor": 0.0}, "--scale-factor is a finite number above 0"),
        ({"ply_path": Path("nowhere.ply")}, "--ply-path nowhere.ply does not exist"),
    ],
)
def test_settings_of_other_parsers_are_looked_at_too(blender, numbers, message):
    with pytest.raises(ValueError, match=message):
        read_capture(_settings(blender, "blender-data", **numbers), "cpu", reconstructs=True)


def test_a_model_of_colmap_that_is_elsewhere_is_said_with_the_options_that_name_it(capture):
    with pytest.raises(ValueError, match=r"Colmap path .* does not exist.*--colmap-path names the folder .*sparse/0"):
        read_capture(_settings(capture, "colmap"), "cpu", reconstructs=True)


def test_what_libraries_refuse_is_said_as_theirs_and_what_we_refuse_as_it_is():
    read = host_in_words("Nothing was read", "Mend it.")
    with (
        pytest.raises(ValueError, match=r"Nothing was read \(ValueError: need at least one .*, line .*\)\. Mend"),
        read,
    ):
        np.stack([])
    for what in ("mine", "[1"):
        with pytest.raises(ValueError) as refused, host_in_words("Nothing was read", "Mend it."):
            raise ValueError(what)
        assert str(refused.value) == what


def test_a_question_that_nobody_can_answer_is_said(capture):
    """nerfstudio's parser of COLMAP asks whether to make smaller photographs."""
    asked = _parser_in_words(capture, all_dataparsers["colmap"])
    with pytest.raises(ValueError, match="asks first, where nobody answers: leave --downscale-factor out"), asked:
        raise EOFError("EOF when reading a line")
