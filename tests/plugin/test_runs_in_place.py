"""A run whose name is taken (--timestamp, --load-config) never replaces the one that is there."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.hosts import make_capture, scene_config, style_config
from tests.plugin.rounds_host import rounds_config


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return make_capture(tmp_path_factory.mktemp("in_place") / "capture")


@pytest.mark.parametrize("settings", [scene_config, style_config], ids=["scene", "style"])
def test_a_run_with_the_name_of_another_is_refused(capture, tmp_path, settings):
    config = settings(capture, tmp_path, steps=10)
    config.timestamp, config.is_new = "taken", False
    config.check_start().lock.release()
    kept = config.get_checkpoint_dir() / "step-000000009.ckpt"
    kept.parent.mkdir()
    kept.write_bytes(b"of yesterday")
    with pytest.raises(ValueError, match=r"taken is there already, and step-000000009.ckpt of it would be lost"):
        config.check_start()
    assert kept.read_bytes() == b"of yesterday" and [*kept.parent.iterdir()] == [kept]


def test_going_on_with_a_run_in_its_own_folder_is_not_refused(capture, tmp_path):
    config = scene_config(capture, tmp_path, steps=10)
    config.timestamp, config.is_new = "taken", False
    models = config.get_checkpoint_dir()
    models.mkdir(parents=True)
    (models / "step-000000009.ckpt").write_bytes(b"")
    for config.load_dir in (models, models.parent, models / ".." / models.name):
        config.check_replaces_nothing()
    config.load_dir, config.load_checkpoint = None, models / "step-000000009.ckpt"
    config.check_replaces_nothing()


def test_rounds_go_on_where_they_are(capture, tmp_path):
    config = rounds_config(capture, tmp_path)
    (config.get_checkpoint_dir()).mkdir(parents=True)
    (config.get_checkpoint_dir() / "step-000000009.ckpt").write_bytes(b"")
    config.check_replaces_nothing()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lost.yml", "lost.yml does not exist: give the config.yml of a run"),
        ("", "is a folder: give the config.yml of a run"),
        ("text.yml", "text.yml holds a str, expected the config.yml of a run"),
        ("broken.yml", "broken.yml cannot be read"),
    ],
)
def test_what_ns_train_cannot_load_as_a_config_is_said(tmp_path, monkeypatch, capsys, name, message):
    (tmp_path / "text.yml").write_text("text")
    (tmp_path / "broken.yml").write_text("a: [1")
    words = ["ns-train", "fasttext2style", "--load-config", str(tmp_path / name)]
    monkeypatch.setattr(sys, "argv", words)
    sys.excepthook(AttributeError, AttributeError("set_timestamp"), None)
    said = capsys.readouterr()
    assert message in " ".join(said.out.split()) and not said.err
