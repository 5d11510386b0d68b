"""A panorama around the scene of a real run: where it is seen, and that every step takes it back bit by bit."""

import shutil
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras as HostCameras

from fasttext2style.cli import entrypoint
from fasttext2style.envmaps.files import read_panorama, write_panorama
from fasttext2style.envmaps.skies import sky
from fasttext2style.envmaps.sphere import directions, sample
from fasttext2style.envmaps.tones import to_display
from fasttext2style.history.history import History
from fasttext2style.live import jobs
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.session import LiveSession
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.plugin.runs.turntable import write_turntable
from fasttext2style.plugin.viewer.model_host import ModelHost
from tests.ball import capture_cameras
from tests.plugin.hosts import make_capture, scene_config, train


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return train(scene_config(make_capture(folder / "capture"), folder / "outputs", steps=10)).base_dir


@pytest.fixture(scope="module")
def panorama(tmp_path_factory):
    """Light that says its direction: red towards +x, green towards +y, blue above."""
    light = (0.5 + 0.4 * directions(64, 128)).float()
    path = tmp_path_factory.mktemp("panorama") / "axes.exr"
    write_panorama(path, light)
    return path, light


def ft2s(monkeypatch, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", ["ft2s", *map(str, arguments)])
    entrypoint()


def _away(size=40) -> HostCameras:
    """A camera of nerfstudio's in the middle of nowhere: upright, it looks along +y; the scene is behind it."""
    pose = torch.tensor([[[1.0, 0, 0, 0], [0, 0, -1, 50], [0, 1, 0, 0]]])
    return HostCameras(pose, float(size), float(size), size / 2, size / 2, size, size)


def _look(model, camera=None):
    with torch.no_grad():
        return model.get_outputs_for_camera(camera if camera is not None else _away())


def _expected(light, camera):
    rays = camera.generate_rays(camera_indices=0, keep_shape=True).directions
    return to_display(sample(light, rays.float()))


def test_the_panorama_is_seen_along_nerfstudios_own_rays_and_undone_bit_by_bit(run_folder, panorama, monkeypatch):
    path, light = panorama
    model = open_run(run_folder).model
    near = HostCameras(
        torch.tensor([[[1.0, 0, 0, 0.0], [0, 0, -1, -4], [0, 1, 0, 0.5]]]), 40.0, 40.0, 20.0, 20.0, 40, 40
    )
    gaussians, before = (
        model.gaussians().to_splatfacto(),
        {"far": _look(model)["rgb"], "near": _look(model, near)["rgb"]},
    )
    assert "environment" not in model.state_dict() and before["near"].max() > 0.1

    ft2s(monkeypatch, "envmap", "set", run_folder, path)
    model = open_run(run_folder).model  # as ns-viewer and ns-render open it: by the checkpoint alone
    outputs = _look(model)
    torch.testing.assert_close(outputs["rgb"], _expected(light, _away()), rtol=0, atol=1e-5)
    assert torch.equal(outputs["background"], outputs["rgb"])
    # Right of someone who looks along +y is +x, which is red; above is blue.
    assert outputs["rgb"][20, 35, 0] > outputs["rgb"][20, 5, 0] and outputs["rgb"][5, 20, 2] > outputs["rgb"][35, 20, 2]
    # In front of it stands the scene, as opaque as it is.
    seen = _look(model, near)
    mixed = before["near"] + (1 - seen["accumulation"]) * _expected(light, near)
    torch.testing.assert_close(seen["rgb"], mixed.clamp(0, 1), rtol=0, atol=1e-5)
    assert torch.equal(seen["before"], before["near"]), "before the step nothing was around the scene"
    assert all(torch.equal(values, model.gaussians().to_splatfacto()[name]) for name, values in gaussians.items())

    ft2s(monkeypatch, "history", "blend", run_folder, 1, 0.5)
    half = _look(open_run(run_folder).model)["rgb"]
    ft2s(monkeypatch, "history", "undo", run_folder)
    assert torch.equal(_look(open_run(run_folder).model)["rgb"], outputs["rgb"])
    assert not torch.equal(half, outputs["rgb"]) and half.mean() < outputs["rgb"].mean()
    for arguments in (("drop", run_folder, 1), ("undo", run_folder), ("undo", run_folder), ("redo", run_folder)):
        ft2s(monkeypatch, "history", *arguments)
        model = open_run(run_folder).model
        is_there = arguments[0] == "redo" or (
            arguments[0] == "undo" and bool(History.open(run_folder / "history").applied)
        )
        assert torch.equal(_look(model)["rgb"], outputs["rgb"] if is_there else before["far"])
        assert torch.equal(_look(model, near)["rgb"], seen["rgb"] if is_there else before["near"])
        assert ("environment" in model.state_dict()) == is_there
    ft2s(monkeypatch, "history", "undo", run_folder)


def test_where_it_is_seen_is_said_and_that_a_scene_with_a_sky_of_its_own_covers_it(
    run_folder, panorama, tmp_path, monkeypatch, capsys
):
    copy = shutil.copytree(run_folder, tmp_path / "run")
    shutil.rmtree(copy / "history", ignore_errors=True)  # of tests before this one
    ft2s(monkeypatch, "envmap", "set", copy, panorama[0])
    seen = "Around the scene: axes.exr. It is seen where the scene leaves something free."
    assert seen in " ".join(capsys.readouterr().out.split())
    run = open_run(copy)
    scene = run.gaussians()
    # As many Gaussians, as a shell around all cameras.
    run.save(
        replace(
            scene,
            means=100 * torch.nn.functional.normalize(scene.means + 0.01, dim=1),
            log_scales=torch.full_like(scene.log_scales, 4.0),
            logit_opacities=torch.full_like(scene.logit_opacities, 8.0),
        )
    )
    ft2s(monkeypatch, "envmap", "set", copy, panorama[0])
    said = " ".join(capsys.readouterr().out.split())
    assert "Around the scene: axes.exr. The scene covers it nearly everywhere" in said and "hide what is far" in said


def test_a_sky_of_the_program_is_seen_along_nerfstudios_own_rays(run_folder, monkeypatch, capsys):
    ft2s(monkeypatch, "envmap", "set", run_folder, "--sky", "golden-hour")
    assert "Around the scene: golden hour." in " ".join(capsys.readouterr().out.split())
    seen = _look(open_run(run_folder).model)["rgb"]
    torch.testing.assert_close(seen, _expected(sky("golden hour"), _away()), rtol=0, atol=1e-5)
    ft2s(monkeypatch, "history", "undo", run_folder)


def test_a_second_panorama_stands_in_place_of_the_first(run_folder, panorama, monkeypatch):
    path, light = panorama
    ft2s(monkeypatch, "envmap", "set", run_folder, path)
    ft2s(monkeypatch, "envmap", "set", run_folder, path, "--yaw", "90", "--exposure", "-1")
    outputs = _look(open_run(run_folder).model)
    # What was along +x is along +y now, half as bright.
    turned = HostCameras(
        torch.tensor([[[0.0, 0, -1, 50], [-1, 0, 0, 0], [0, 1, 0, 0]]]), 40.0, 40.0, 20.0, 20.0, 40, 40
    )
    torch.testing.assert_close(outputs["rgb"], _expected(light / 2, turned), rtol=0, atol=1e-4)
    torch.testing.assert_close(outputs["before"], _expected(light, _away()), rtol=0, atol=1e-4)
    for _ in range(2):
        ft2s(monkeypatch, "history", "undo", run_folder)


def test_what_is_trained_on_is_never_seen_before_the_panorama(run_folder, panorama):
    model = open_run(run_folder).model
    model.environment = panorama[1]
    model.train()
    with torch.no_grad():  # without optimizers, which densification asks for
        plain = model.get_outputs(_away())
    assert plain["background"].shape == (3,) and float(plain["rgb"].max()) < 0.1
    model.eval()
    assert float(_look(model)["rgb"].max()) > 0.5


def test_an_empty_crop_shows_what_is_around(run_folder, panorama):
    from nerfstudio.data.scene_box import OrientedBox

    model = open_run(run_folder).model
    model.environment = panorama[1]
    box = OrientedBox(torch.eye(3), torch.tensor([500.0, 0, 0]), torch.ones(3))
    with torch.no_grad():
        outputs = model.get_outputs_for_camera(_away(), obb_box=box)
    torch.testing.assert_close(outputs["rgb"], _expected(panorama[1], _away()), rtol=0, atol=1e-5)


def test_a_session_takes_the_panorama_back_and_brings_it_again(run_folder, panorama, monkeypatch):
    path, light = panorama
    ft2s(monkeypatch, "envmap", "set", run_folder, path)
    run = open_run(run_folder)
    host = ModelHost(run.model, run.save)
    session = LiveSession(LiveScene(host, capture_cameras(), History.open(run_folder / "history"), run_folder))
    around = _look(run.model)["rgb"]
    torch.testing.assert_close(around, _expected(light, _away()), rtol=0, atol=1e-5)
    assert session.do(jobs.Undo()), session.status.message
    assert float(_look(run.model)["rgb"].max()) < 0.1
    assert session.do(jobs.Redo()), session.status.message
    assert torch.equal(_look(run.model)["rgb"], around)
    ft2s(monkeypatch, "history", "undo", run_folder)


def test_what_is_around_is_edited_by_a_sentence_and_undone_bit_by_bit(run_folder, panorama, monkeypatch, capsys):
    edit = ("envmap", "edit", run_folder, "--encoder", "tiny", "--steps", "4", "--crops", "1")
    with pytest.raises(SystemExit):
        ft2s(monkeypatch, *edit, "--prompt", "gold")
    assert "nothing around the scene yet" in " ".join(capsys.readouterr().out.split())
    ft2s(monkeypatch, "envmap", "set", run_folder, panorama[0])
    before = _look(open_run(run_folder).model)["rgb"]
    ft2s(monkeypatch, *edit, "--prompt", "a golden sunset")
    assert "does not know 'sunset'" in " ".join(capsys.readouterr().out.split())
    model, step = open_run(run_folder).model, History.open(run_folder / "history").steps[-1]
    seen = _look(model)
    assert not torch.equal(seen["rgb"], before) and torch.equal(seen["before"], before)
    assert (step.prompt, step.gaussians_changed, step.settings["steps"]) == ("a golden sunset", 0, 4)
    assert model.environment.shape == panorama[1].shape, "at its own size"
    with pytest.raises(SystemExit):
        ft2s(monkeypatch, *edit, "--prompt", "gold", "-o", "sky.hdr")
    assert "leave --output out" in " ".join(capsys.readouterr().out.split())
    ft2s(monkeypatch, "history", "undo", run_folder)
    assert torch.equal(_look(open_run(run_folder).model)["rgb"], before)
    ft2s(monkeypatch, "history", "undo", run_folder)


def test_the_export_has_what_is_around_beside_it(run_folder, panorama, monkeypatch, tmp_path):
    ft2s(monkeypatch, "export", run_folder, "-o", tmp_path / "bare.ply")
    ft2s(monkeypatch, "envmap", "set", run_folder, panorama[0], "--yaw", "90")
    ft2s(monkeypatch, "export", run_folder, "-o", tmp_path / "scene.ply")
    assert {path.name for path in tmp_path.iterdir()} == {"bare.ply", "scene.ply", "scene_surroundings.hdr"}
    beside = read_panorama(tmp_path / "scene_surroundings.hdr")
    torch.testing.assert_close(beside, panorama[1].roll(-32, dims=1), rtol=0.01, atol=0.005)
    ft2s(monkeypatch, "history", "undo", run_folder)


def test_the_turntable_shows_what_is_around_and_before_nothing(run_folder, panorama, monkeypatch, tmp_path):
    ft2s(monkeypatch, "envmap", "set", run_folder, panorama[0])
    video = write_turntable(run_folder, tmp_path / "around.mp4", before=True, seconds=0.1, size=64)
    with av.open(str(video)) as film:
        frame = next(film.decode(video=0)).to_ndarray(format="rgb24")
    top = frame[:6].astype(int)  # above the horizon, beside the ball
    assert top[:, 70:80].mean() > 100 and np.median(top[:, 4:14]) < 40
    ft2s(monkeypatch, "history", "undo", run_folder)


@pytest.mark.parametrize(("name", "said"), [("none.hdr", "No such file"), ("square.png", "twice as wide as high")])
def test_what_is_no_panorama_is_refused_and_nothing_changes(run_folder, tmp_path, monkeypatch, capsys, name, said):
    import cv2

    cv2.imwrite(str(tmp_path / "square.png"), np.zeros((8, 8, 3), np.uint8))
    files = {path: path.stat().st_mtime_ns for path in run_folder.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit):
        ft2s(monkeypatch, "envmap", "set", run_folder, tmp_path / name)
    heard = " ".join((lambda both: both.out + both.err)(capsys.readouterr()).split())
    assert said in heard and "Traceback" not in heard
    assert files == {path: path.stat().st_mtime_ns for path in run_folder.rglob("*") if path.is_file()}
