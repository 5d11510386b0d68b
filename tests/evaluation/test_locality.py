"""Two scenes on disk, compared bit by bit outside the object: nothing is overlooked, nothing is made up."""

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plyfile import PlyData, PlyElement
from safetensors.torch import save_file

from fasttext2style.evaluation import locality
from fasttext2style.evaluation.locality import LoadedFile, drift_by_weights, outside_drift, outside_report, verdict
from fasttext2style.scene.files.on_disk import SceneOnDisk
from fasttext2style.scene.files.ply import write_ply
from fasttext2style.scene.gaussians import Gaussians

OBJECT = torch.tensor([1, 4, 7])
OUTSIDE = torch.tensor([0, 2, 3, 5, 6, 8, 9, 10, 11])
FORMATS = ("scene.ply", "step-000000009.ckpt", "scene.safetensors")


def _scene(count: int = 12, rest: int = 3) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    return Gaussians(
        *(torch.randn(count, *shape, generator=generator) for shape in ((3,), (4,), (3,), (), (3,), (rest, 3)))
    )


def _weights(count: int = 12) -> torch.Tensor:
    weights = torch.zeros(count)
    weights[OBJECT] = torch.tensor([1.0, 0.3, 1.0])
    return weights


def _write(path: Path, scene: Gaussians, weights: torch.Tensor | None = None) -> Path:
    """As a .ply, as a checkpoint of ours (splatfacto's without weights), or as round 0 of a run."""
    if path.suffix == ".ply":
        write_ply(path, scene)
    elif path.suffix == ".ckpt":
        entries = {f"_model.gauss_params.{name}": value for name, value in scene.to_splatfacto().items()}
        # The object before its last edit has the same names.
        entries |= {f"_model.earlier.{name}": value[:2] for name, value in scene.to_splatfacto().items()}
        if weights is not None:
            entries["_model.selection"] = weights
        torch.save({"step": 9, "pipeline": entries, "optimizers": {"means": {"state": torch.zeros(50)}}}, path)
    else:
        tensors = {name: value.clone() for name, value in scene.to_splatfacto().items()}
        save_file(tensors | ({} if weights is None else {"weights": weights}), path)
    return path


def _changed(scene: Gaussians, name: str, place: tuple[int, ...], value: float) -> Gaussians:
    values = getattr(scene, name).clone()
    values[place] = value
    return replace(scene, **{name: values})


@pytest.mark.parametrize("saved", FORMATS)
@pytest.mark.parametrize("loaded", FORMATS)
def test_the_same_scene_in_any_two_formats_is_the_same_to_the_bit(tmp_path, loaded, saved):
    (tmp_path / "saved").mkdir()
    one = SceneOnDisk(_write(tmp_path / loaded, _scene()))
    other = SceneOnDisk(_write(tmp_path / "saved" / saved, _scene(), _weights()))
    drift = outside_drift(one, other, OUTSIDE, OUTSIDE)
    assert (drift.compared, drift.changed, drift.largest_change) == (9, 0, 0.0)


@pytest.mark.parametrize("rows_at_once", [1, 4, 1000])
@pytest.mark.parametrize("name", [field.name for field in fields(Gaussians)])
def test_the_smallest_change_of_any_number_is_found(tmp_path, monkeypatch, name, rows_at_once):
    monkeypatch.setattr(locality, "ROWS_AT_ONCE", rows_at_once)
    scene = _scene()
    last = (11, *(size - 1 for size in getattr(scene, name).shape[1:]))
    old = float(getattr(scene, name)[last])
    new = float(np.nextafter(np.float32(old), np.float32(np.inf)))
    saved = SceneOnDisk(_write(tmp_path / "a.ckpt", _changed(scene, name, last, new)))
    drift = outside_drift(SceneOnDisk(_write(tmp_path / "b.ply", scene)), saved, OUTSIDE, OUTSIDE)
    assert (drift.changed, drift.parameter) == (1, name)
    assert drift.largest_change == pytest.approx(new - old, rel=1e-6)


def test_what_becomes_of_the_object_does_not_count(tmp_path):
    scene, changed = _scene(), _scene()
    for field in fields(changed):
        getattr(changed, field.name)[OBJECT] += 1
    drift = outside_drift(scene, SceneOnDisk(_write(tmp_path / "a.ply", changed)), OUTSIDE, OUTSIDE)
    assert drift.changed == 0


def test_the_number_and_the_size_of_changes_are_those_that_were_made():
    scene, changed = _scene(), _scene()
    changed.sh_rest[2, 1, 0] += 0.25
    changed.means[2, 1] += 0.125
    changed.means[9] -= 0.0625
    drift = outside_drift(scene, changed, OUTSIDE, OUTSIDE)
    assert (drift.changed, drift.parameter) == (2, "sh_rest")
    assert drift.largest_change == pytest.approx(0.25, rel=1e-5)


def test_nan_is_the_same_as_itself_and_not_as_a_number(tmp_path):
    broken = _changed(_scene(), "quats", (3, 2), float("nan"))
    one, other = (SceneOnDisk(_write(tmp_path / name, broken)) for name in ("a.ply", "b.ckpt"))
    assert outside_drift(one, other, OUTSIDE, OUTSIDE).changed == 0
    for pair in ((one, _scene()), (_scene(), other)):
        drift = outside_drift(*pair, OUTSIDE, OUTSIDE)
        assert (drift.changed, drift.largest_change, drift.parameter) == (1, float("inf"), "quats")


def test_minus_zero_is_another_number():
    zero, minus = (_changed(_scene(), "sh_dc", (0, 0), value) for value in (0.0, -0.0))
    drift = outside_drift(zero, minus, OUTSIDE, OUTSIDE)
    assert (drift.changed, drift.largest_change) == (1, 0.0)


def test_an_object_that_has_grown_stands_behind_all_others(tmp_path):
    scene = _scene()
    grown = Gaussians.concatenated([scene.subset(OUTSIDE), scene.subset(OBJECT), scene.subset(OBJECT[:1])])
    weights = torch.cat([torch.zeros(9), torch.ones(4)])
    checkpoint = _write(tmp_path / "a.ckpt", grown, weights)
    files = {"checkpoint": checkpoint, "styled.ply": _write(tmp_path / "a.ply", grown)}
    loaded = SceneOnDisk(_write(tmp_path / "b.ply", scene))
    drifts = drift_by_weights(loaded, OBJECT, files, weighted=checkpoint)
    assert [drift.changed for drift in drifts.values()] == [0, 0]
    # In another order the rest is not what it was.
    turned = _write(tmp_path / "c.ply", grown.subset(torch.cat([torch.tensor([1, 0]), torch.arange(2, 13)])))
    assert drift_by_weights(loaded, OBJECT, files | {"styled.ply": turned}, checkpoint)["styled.ply"].changed == 2


@pytest.mark.parametrize(
    "weights, written, changed",
    [
        (torch.ones(12), slice(None), 9),  # all that was outside is said to be the object
        (_weights(), slice(0, 11), 1),  # the last Gaussian is gone
        (torch.cat([_weights(), torch.zeros(2)]), slice(None), 2),  # two came
    ],
    ids=["everything selected", "one gone", "two more"],
)
def test_gaussians_that_come_or_go_are_changes(tmp_path, weights, written, changed):
    loaded = SceneOnDisk(_write(tmp_path / "b.ply", _scene()))
    count = len(weights)
    scene = _scene().subset(torch.arange(count) % 12)
    checkpoint = _write(tmp_path / "a.ckpt", scene, weights)
    files = {
        "checkpoint": checkpoint,
        "styled.ply": _write(tmp_path / "a.ply", scene.subset(torch.arange(count)[written])),
    }
    drift = drift_by_weights(loaded, OBJECT, files, checkpoint)["styled.ply"]
    assert (drift.changed, drift.largest_change) == (changed, float("inf"))


def test_a_scene_of_a_lower_degree_had_zeros_for_the_rest(tmp_path):
    loaded = SceneOnDisk(_write(tmp_path / "a.ply", _scene(rest=3)))
    padded = _scene(rest=3).with_sh_degree(3)
    assert outside_drift(loaded, padded, OUTSIDE, OUTSIDE).changed == 0
    padded.sh_rest[6, 14, 2] = 1e-30
    assert outside_drift(loaded, padded, OUTSIDE, OUTSIDE).changed == 1
    # A scene that lost its view dependence has changed as well.
    assert outside_drift(_scene(rest=3), _scene(rest=3).with_sh_degree(0), OUTSIDE, OUTSIDE).changed == 9


def test_a_ply_of_doubles_in_another_order_counts_as_it_is_loaded(tmp_path):
    write_ply(tmp_path / "floats.ply", _scene())
    vertices = PlyData.read(tmp_path / "floats.ply")["vertex"].data
    names = list(reversed(vertices.dtype.names))
    doubles = np.empty(len(vertices), dtype=[(name, ">f8") for name in names])
    for name in names:
        # Less than half of a float's last bit.
        doubles[name] = vertices[name].astype(np.float64) * (1 + 1e-9)
    for text in (True, False):
        path = tmp_path / f"doubles_{text}.ply"
        PlyData([PlyElement.describe(doubles, "vertex")], text=text, byte_order=">").write(path)
        assert outside_drift(SceneOnDisk(path), _scene(), OUTSIDE, OUTSIDE).changed == 0


def test_colours_that_splatfacto_keeps_as_logits_count_as_they_are_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(locality, "ROWS_AT_ONCE", 5)
    scene = _scene(count=1003, rest=0)
    path = _write(tmp_path / "a.ckpt", scene)
    as_loaded = Gaussians.from_checkpoint(torch.load(path, weights_only=True)["pipeline"])
    assert not torch.equal(as_loaded.sh_dc, scene.sh_dc)
    everything = torch.arange(1003)
    # One row at a time and all at once: the last bit must not depend on where a row stands.
    assert outside_drift(SceneOnDisk(path), as_loaded, everything, everything).changed == 0


def _report(loaded: LoadedFile, checkpoint: Path, **files: Path):
    files = {"checkpoint": checkpoint} | files
    return outside_report(loaded, lambda scene: drift_by_weights(scene, OBJECT, files, checkpoint))


def test_a_report_names_the_file_that_changed_and_how_much(tmp_path):
    loaded = LoadedFile.of(_write(tmp_path / "a.ply", _scene()))
    checkpoint = _write(tmp_path / "a.ckpt", _scene(), _weights())
    moved = _changed(_scene(), "means", (5, 1), float(_scene().means[5, 1]) + 0.5)
    report = _report(loaded, checkpoint, styled=_write(tmp_path / "b.ply", moved))
    assert (report["gaussians_compared"], report["gaussians_changed"]) == (9, 1)
    assert report["largest_parameter_change"] == pytest.approx(0.5, rel=1e-6)
    assert report["files"]["checkpoint"]["changed"] == 0
    well, said = verdict(report)
    assert not well and "SOMETHING OUTSIDE THE OBJECT CHANGED: 1 of 9 Gaussians in styled, by up to 0.5 (means)" in said
    well, said = verdict(_report(loaded, checkpoint))
    assert well and "no bit of 9 Gaussians changed" in said


def test_without_the_file_that_was_loaded_nothing_is_claimed(tmp_path):
    loaded = LoadedFile.of(_write(tmp_path / "a.ply", _scene()))
    checkpoint = _write(tmp_path / "a.ckpt", _scene(), _weights())
    assert _report(replace(loaded, moved_on="It went on."), checkpoint)["not_measured"] == "It went on."
    os.remove(loaded.path)
    report = _report(loaded, checkpoint)
    assert report["gaussians_changed"] is report["largest_parameter_change"] is None
    assert "is gone" in report["not_measured"]
    well, said = verdict(report)
    assert not well and "could not be measured" in said


def test_a_file_that_was_written_anew_is_not_taken_for_a_change(tmp_path):
    path = _write(tmp_path / "a.ply", _scene())
    loaded, checkpoint = LoadedFile.of(path), _write(tmp_path / "a.ckpt", _scene(), _weights())
    _write(path, _scene(count=12, rest=0).with_sh_degree(1))
    os.utime(path, (0, 0))
    assert "written anew" in _report(loaded, checkpoint)["not_measured"]
    # With the same bits again, it does not matter when.
    _write(path, _scene())
    os.utime(path, (0, 0))
    assert _report(loaded, checkpoint)["gaussians_changed"] == 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_said_and_not_zero(tmp_path, name):
    loaded = LoadedFile.of(_write(tmp_path / "b.ply", _scene()))
    checkpoint = _write(tmp_path / "a.ckpt", _scene(), _weights())
    damaged = _write(tmp_path / name, _scene())
    damaged.write_bytes(damaged.read_bytes()[:-200])
    report = _report(loaded, checkpoint, damaged=damaged)
    assert report["gaussians_changed"] is None and str(damaged) in report["not_measured"]


def test_a_checkpoint_without_an_object_is_refused(tmp_path):
    with pytest.raises(ValueError, match="which of its Gaussians are the object"):
        _ = SceneOnDisk(_write(tmp_path / "a.ckpt", _scene())).weights
