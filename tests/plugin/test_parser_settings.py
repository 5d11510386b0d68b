"""Numbers of nerfstudio's data parsers, and parsers of other formats, are refused by name; what the host says is said
as the host's."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from nerfstudio.configs.dataparser_configs import all_dataparsers

from fasttext2style.plugin.host.capture import read_capture
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
