"""Runs of version 0.1 open, though the classes in their config.yml stand elsewhere now.

The files in runs_of_0_1 were written by version 0.1 itself (commit 836dcea), one for each method.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fasttext2style.plugin import methods
from fasttext2style.plugin.host.old_runs import MOVED, read_config

WRITTEN = Path(__file__).parent / "runs_of_0_1"
METHODS = ("fasttext2style_scene", "fasttext2style", "fasttext2style_ip2p")


@pytest.mark.parametrize("name", METHODS)
def test_a_config_that_version_0_1_wrote_is_read_with_its_values(name: str):
    text = (WRITTEN / f"{name}.yml").read_text()
    config = yaml.load(text, Loader=yaml.Loader)

    now = getattr(methods, name).config
    assert type(config) is type(now)
    assert config.experiment_name == "bear" and config.data == Path("capture")
    assert type(config.pipeline) is type(now.pipeline)
    assert config.pipeline._target is now.pipeline._target
    assert config.pipeline.datamanager.data == Path("capture")
    assert config.pipeline.model.num_random == now.pipeline.model.num_random
    assert config.optimizers["features_dc"]["optimizer"].lr == now.optimizers["features_dc"]["optimizer"].lr


def test_a_config_as_large_as_is_allowed_is_read(tmp_path: Path):
    text, path = (WRITTEN / "fasttext2style_scene.yml").read_text(), tmp_path / "config.yml"
    path.write_text(text.ljust(2**18))
    assert read_config(path).experiment_name == "bear"
    path.write_text(text.ljust(2**18 + 1))
    with pytest.raises(
        ValueError, match=r"config.yml cannot be read: it has more than the 262,144 bytes that are read"
    ):
        read_config(path)


@pytest.mark.parametrize("name", [name for name in MOVED if name.endswith(("Config", "Choice"))])
def test_settings_that_came_since_have_their_defaults(name: str):
    def complete(value: Any, path: str) -> None:
        if is_dataclass(value) and not isinstance(value, type):
            for setting in fields(value):
                assert hasattr(value, setting.name), f"{path}.{setting.name}"
                complete(getattr(value, setting.name), f"{path}.{setting.name}")

    target = "" if "Choice" in name or "Growth" in name else "_target: !!python/name:builtins.object ''"
    complete(yaml.load(f"!!python/object:{name} {{{target}}}", Loader=yaml.Loader), name)


def test_no_class_of_ours_in_old_files_is_without_a_place_today():
    text = "".join((WRITTEN / f"{name}.yml").read_text() for name in METHODS)
    for old, module in MOVED.items():
        assert old in text, f"{old} is in no old file: the table needs no line for it"
        assert f"{module}.{old.rpartition('.')[2]}" != old


@pytest.mark.parametrize(
    "text", ["!!python/object:fasttext2style.plugin.nothing.Config {}", "a: [", "- 1", "!!python/name:os.nothing ''"]
)
def test_a_config_that_cannot_be_read_is_named_in_words(tmp_path: Path, text: str):
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(ValueError, match=r"config.yml (cannot be read|holds a list)"):
        read_config(tmp_path / "config.yml")
