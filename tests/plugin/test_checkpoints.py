"""Checkpoints: found, read or refused in words, written whole or not at all."""

import numpy as np
import pytest
import torch

from fasttext2style.plugin.host.checkpoints import (
    checkpoint_path,
    checkpoints_in,
    plain_numbers,
    read_checkpoint,
    write_checkpoint,
)
from fasttext2style.plugin.scene.method import fasttext2style_scene
from tests.full_disk import flushes_and_names, left_by_a_killed_writer


@pytest.fixture()
def config():
    from copy import deepcopy

    return deepcopy(fasttext2style_scene.config)


def _run(folder, steps=(9, 19)):
    for step in steps:
        write_checkpoint(folder / "nerfstudio_models" / f"step-{step:09d}.ckpt", {"pipeline": {}, "step": step})
    return folder


def test_load_dir_takes_the_newest_step_of_a_run_or_of_its_checkpoint_folder(config, tmp_path):
    _run(tmp_path)
    for folder in (tmp_path, tmp_path / "nerfstudio_models"):
        config.load_dir = folder
        assert checkpoint_path(config).name == "step-000000019.ckpt"
    config.load_step = 9
    assert checkpoint_path(config).name == "step-000000009.ckpt"


def test_nothing_given_means_no_checkpoint(config):
    assert checkpoint_path(config) is None


@pytest.mark.parametrize("field", ["load_dir", "load_checkpoint"])
def test_a_path_without_checkpoint_is_refused(config, tmp_path, field):
    setattr(config, field, tmp_path / "nowhere")
    with pytest.raises(ValueError, match="nowhere"):
        checkpoint_path(config)


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "step-000000001.ckpt"
    if content is None:
        torch.save({"weights": torch.zeros(2)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="checkpoint"):
        read_checkpoint(path)


def test_schedulers_numpy_numbers_become_plain(tmp_path):
    state = {"lr": np.float64(0.25), "list": [np.float32(0.5), {"n": np.int64(3)}], "t": torch.ones(1), "pair": (1, 2)}
    plain = plain_numbers(state)
    assert (type(plain["lr"]), type(plain["list"][0]), type(plain["list"][1]["n"])) == (float, float, int)
    assert plain["lr"] == 0.25 and plain["pair"] == (1, 2) and torch.equal(plain["t"], torch.ones(1))


def test_a_failed_write_leaves_the_old_checkpoint_and_no_rest(tmp_path, monkeypatch):
    path = _run(tmp_path, steps=(9,)) / "nerfstudio_models" / "step-000000009.ckpt"

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    with pytest.raises(ValueError, match="No space left"):
        write_checkpoint(path, {"pipeline": {}, "step": 10})
    monkeypatch.undo()
    assert read_checkpoint(path)["step"] == 9
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["step-000000009.ckpt"]


def test_the_next_checkpoint_removes_what_a_killed_writer_left_of_one(tmp_path):
    path = tmp_path / "nerfstudio_models" / "step-000000009.ckpt"
    left = left_by_a_killed_writer(tmp_path / path.name)
    write_checkpoint(path, {"pipeline": {}, "step": 9})
    assert not left.exists() and [it for it in tmp_path.rglob("*") if it.is_file()] == [path]


def test_a_checkpoint_is_handed_to_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    with flushes_and_names(monkeypatch) as seen:
        write_checkpoint(tmp_path / "models" / "step-000000009.ckpt", {"pipeline": {}, "step": 9})
    (flushed, file, size), (named, source, _) = seen
    assert (flushed, named, file) == ("flushed", "named", source)
    assert size == (tmp_path / "models" / "step-000000009.ckpt").stat().st_size


def test_numpy_numbers_of_foreign_checkpoints_load(tmp_path):
    path = tmp_path / "step-000000003.ckpt"
    torch.save({"pipeline": {}, "step": 3, "schedulers": {"means": {"_last_lr": [np.float64(1e-4)]}}}, path)
    assert read_checkpoint(path)["schedulers"]["means"]["_last_lr"] == [1e-4]


def test_copies_beside_the_checkpoints_are_no_checkpoints(tmp_path):
    for name in ("step-000000009.ckpt", "step-000000009 (1).ckpt", "step-000000010.ckpt", "step-x.ckpt", "step-.ckpt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in checkpoints_in(tmp_path)] == ["step-000000009.ckpt", "step-000000010.ckpt"]
