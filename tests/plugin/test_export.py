"""What leaves a run: files that other programs read, and a video around the object."""

import shutil
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
import torch

from fasttext2style.cli import entrypoint
from fasttext2style.evaluation.orbit import FREE, free_shares, orbit
from fasttext2style.history.delta import Delta
from fasttext2style.live import jobs
from fasttext2style.live.scene import LiveScene
from fasttext2style.live.session import LiveSession
from fasttext2style.plugin.runs.history import open_run_with_history, save_with_history
from fasttext2style.plugin.viewer.model_host import ModelHost
from fasttext2style.scene.cameras import Cameras
from fasttext2style.scene.files.export import part_of
from fasttext2style.scene.files.ply import read_ply
from fasttext2style.scene.gaussians import Gaussians
from fasttext2style.selection.selection import Selection
from tests.plugin.hosts import BALL, ball_on_floor, capture_cameras, make_capture, scene_config, train
from tests.scene.random_scene import assert_equal


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run whose ball was selected, then painted blue."""
    folder = tmp_path_factory.mktemp("run")
    run_folder = train(scene_config(make_capture(folder / "capture"), folder / "outputs", steps=10)).base_dir
    run, history, state = open_run_with_history(run_folder)
    ball = (torch.arange(len(state)) < BALL).float()
    selection = Delta.of_rows(state.ids, {"selection": state.selection}, {"selection": ball})
    history.record(selection, "the ball", kind="selection")
    state = selection.moved(state, 0.0, 1.0)
    before = {"features_dc": state.columns["features_dc"][:BALL]}
    blue = Delta.of_rows(state.ids[:BALL], before, {"features_dc": torch.tensor([[-1.7, -1.7, 1.7]]).repeat(BALL, 1)})
    history.record(blue, "blue")
    save_with_history(run, history, blue.moved(state, 0.0, 1.0))
    return run_folder


def ft2s(monkeypatch, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", ["ft2s", *map(str, arguments)])
    entrypoint()


def test_object_and_rest_are_the_scene(run_folder, monkeypatch, capsys):
    import plyfile

    for what in ("scene", "selection", "rest"):
        ft2s(monkeypatch, "export", run_folder, "--what", what)
    scene, selection, rest = (read_ply(run_folder / "exports" / f"{w}.ply") for w in ("scene", "selection", "rest"))
    assert len(selection) == BALL and "150 Gaussians" in capsys.readouterr().out
    assert_equal(scene.subset(torch.arange(BALL)), selection)
    assert_equal(scene.subset(torch.arange(BALL, len(scene))), rest)
    vertices = plyfile.PlyData.read(run_folder / "exports" / "selection.ply")["vertex"]
    np.testing.assert_array_equal(np.asarray(vertices["f_dc_2"]), np.full(BALL, 1.7, dtype=np.float32))


def test_ft2s_and_a_live_session_export_the_same_object_of_a_soft_selection(run_folder, monkeypatch, tmp_path):
    folder = shutil.copytree(run_folder, tmp_path / "run")
    run, history, state = open_run_with_history(folder)
    soft = torch.linspace(0, 1, len(state))
    scene = LiveScene(ModelHost(run.model, run.save), run.cameras(), history, tmp_path / "live")
    scene.select(Selection(soft, "soft"), "soft")
    scene.save()
    for what in ("selection", "rest"):
        assert LiveSession(scene).do(jobs.Export(what))
        ft2s(monkeypatch, "export", folder, "--what", what)
        ours, theirs = (parent / "exports" / f"{what}.ply" for parent in (tmp_path / "live", folder))
        assert ours.read_bytes() == theirs.read_bytes()
        assert len(read_ply(ours)) == int(((soft > 0.5) == (what == "selection")).sum())


def test_the_format_is_what_the_file_is_called_or_what_was_asked_for(run_folder, monkeypatch, tmp_path, capsys):
    ft2s(monkeypatch, "export", run_folder, "-o", tmp_path / "a.splat")
    assert (tmp_path / "a.splat").stat().st_size == len(ball_on_floor()) * 32
    ft2s(monkeypatch, "export", run_folder, "--format", "spz", "--output", tmp_path / "b")
    assert (tmp_path / "b.spz").read_bytes()[:2] == b"\x1f\x8b", "gzip"
    with pytest.raises(SystemExit):
        ft2s(monkeypatch, "export", run_folder, "-o", tmp_path / "c.obj")
    # Long paths are wrapped somewhere.
    assert "should end in one of .ply, .spz, .splat" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "-o", "FOLDER"], "should end in one of .ply, .spz, .splat"),
        (["export", "-o", "FOLDER/file/a.ply"], "cannot be written (File exists)"),
        (["export", "--what", "selection", "--threshold", "nan"], "--threshold lies in [0, 1), as weights do, got nan"),
        (["export", "--what", "selection", "--threshold", "-1"], "--threshold lies in [0, 1), as weights do, got -1.0"),
        (["turntable", "--seconds", "0"], "--seconds is the length of the video, more than 0, got 0.0"),
        (["turntable", "--seconds", "nan"], "--seconds is the length of the video, more than 0, got nan"),
        (["turntable", "--seconds", "inf"], "--seconds is the length of the video, more than 0, got inf"),
        (["turntable", "--size", "1"], "--size is the side of the pictures, 2 pixels or more, got 1"),
        (["turntable", "--size", "1000000"], "144 pictures of 1,000,000 x 1,000,000 pixels are too many"),
        (["turntable", "--seconds", "1e9"], "24,000,000,000 pictures of 512 x 512 pixels are too many"),
        (["turntable", "--frames-per-second", "0"], "--frames-per-second is 1 or more, got 0"),
        (["turntable", "-o", "FOLDER/a.avi"], "The video is written as .mp4"),
        (["turntable", "-o", "FOLDER"], "is a folder: give the name of a file"),
        (["turntable", "-o", "FOLDER/file/a.mp4"], "cannot be written (File exists)"),
        (["views", "--at-most", "0"], "--at-most is 1 view or more, got 0"),
        (["views", "-o", "FOLDER/file/a.png"], "cannot be written (File exists)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_written_is_said_before_the_run_is_opened(
    run_folder, monkeypatch, tmp_path, capsys, words, message
):
    (tmp_path / "file").touch()
    monkeypatch.setattr("fasttext2style.plugin.runs.run.OpenedRun.__init__", lambda *_: pytest.fail("it was opened"))
    command, *options = (word.replace("FOLDER", str(tmp_path)) for word in words)
    with pytest.raises(SystemExit) as end:
        ft2s(monkeypatch, command, run_folder, *options)
    assert end.value.code == 1
    assert message in " ".join(capsys.readouterr().out.split())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_empty_part_is_said_in_words():
    scene = ball_on_floor()
    with pytest.raises(ValueError, match="There is no rest in this scene: everything is selected"):
        part_of(scene, torch.ones(len(scene)), "rest", 0.5)
    with pytest.raises(ValueError, match="There is no selection in this scene: nothing is selected"):
        part_of(scene, torch.zeros(len(scene)), "selection", 0.5)


def test_the_orbit_stands_where_the_captures_cameras_stood_and_looks_at_the_object():
    ball = ball_on_floor().subset(torch.arange(BALL))
    cameras = orbit(ball, capture_cameras(), 8, 64, 48)
    center = ball.means.mean(dim=0)
    torch.testing.assert_close((cameras.centers - center).norm(dim=1), torch.full((8,), 1.4), atol=0.05, rtol=0)
    pixels = torch.einsum("vij,nj->vni", cameras.viewmats[:, :3, :3], ball.means) + cameras.viewmats[:, None, :3, 3]
    pixels = torch.einsum("vij,vnj->vni", cameras.Ks, pixels)
    pixels = pixels[..., :2] / pixels[..., 2:]
    assert bool(((pixels > 0) & (pixels < torch.tensor([64.0, 48.0]))).all()), "all of the object is in every picture"
    assert float(pixels[..., 1].amax() - pixels[..., 1].amin()) > 24, "and fills at least half of it"


def test_the_orbit_goes_around_the_captures_own_up():
    """A scene in COLMAP's coordinates, whose y points down: seen as the same one in nerfstudio's."""
    turn = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    ball, cameras = ball_on_floor().subset(torch.arange(BALL)), capture_cameras()
    turned = replace(ball, means=ball.means @ turn.T)
    viewmats = cameras.viewmats.clone()
    viewmats[:, :3, :3] = viewmats[:, :3, :3] @ turn.T
    there = orbit(turned, replace(cameras, viewmats=viewmats), 8, 64, 48)
    heights = there.centers @ torch.tensor([0.0, -1.0, 0.0])
    expected = orbit(ball, cameras, 8, 64, 48).centers[:, 2]
    torch.testing.assert_close(heights, expected, atol=1e-3, rtol=0)


def _shown(frames: np.ndarray, camera_side: int = 48) -> np.ndarray:
    """How blue the middle of each frame is, beside red."""
    middle = slice(camera_side // 2 - 4, camera_side // 2 + 4)
    return (frames[:, middle, middle, 2] - frames[:, middle, middle, 0]).mean(axis=(1, 2))


def test_the_turntable_goes_around_what_was_edited_whatever_is_selected_now(run_folder, tmp_path, monkeypatch):
    """The ball was painted blue; then a corner of the floor was selected."""
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    run, history, state = open_run_with_history(folder)
    corner = ((state.columns["means"][:, :2] > 0.6).all(dim=1) & (torch.arange(len(state)) >= BALL)).float()
    selection = Delta.of_rows(state.ids, {"selection": state.selection}, {"selection": corner})
    history.record(selection, "a corner", kind="selection")
    save_with_history(run, history, selection.moved(state, 0.0, 1.0))
    ft2s(monkeypatch, "turntable", folder, "--seconds", "0.25", "--size", "48")
    with av.open(str(folder / "exports" / "turntable.mp4")) as video:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]).astype(float)
    assert _shown(frames).min() > 80


def _pillar(away: float, height: float) -> Gaussians:
    """Solid, beside the ball, from below the floor up to a height."""
    steps = torch.arange(-0.35, height, 0.05)
    means = torch.stack([torch.full_like(steps, away), torch.zeros_like(steps), steps], dim=1)
    pillar = ball_on_floor().subset(torch.zeros(len(means), dtype=torch.long))
    return replace(pillar, means=means, log_scales=torch.full_like(means, 0.08).log(), logit_opacities=means[:, 0] + 6)


@pytest.mark.parametrize(("away", "height"), [(1.25, 0.8), (0.8, 0.5)])
def test_the_orbit_does_not_fly_through_what_stands_around_the_object(away, height):
    """A pillar where the cameras fly, and one between them and the object: over it, or inside of it."""
    scene = ball_on_floor()
    ball, rest = scene.subset(torch.arange(BALL)), scene.subset(torch.arange(BALL, len(scene)))
    rest = Gaussians.concatenated([rest, _pillar(away, height)])
    low = Cameras.orbit((0.0, 0.0, 0.0), 1.4, 10, 48, 48, elevation_degrees=12.0)
    straight, around = orbit(ball, low, 24, 48, 48), orbit(ball, low, 24, 48, 48, rest)
    assert float(free_shares(ball, rest, straight).min()) < 0.5, "the pillar stands in the way"
    assert float(free_shares(ball, rest, around).min()) > 0.7
    assert bool(((around.centers - rest.means[-1]).norm(dim=1) > 0.1).all())


def test_an_orbit_that_is_nearly_free_stays_where_the_captures_cameras_stood():
    """Ground that hides a little of the object from everywhere is no reason to move."""
    scene, cameras = ball_on_floor(), capture_cameras()
    ball, rest = scene.subset(torch.arange(BALL)), scene.subset(torch.arange(BALL, len(scene)))
    risen = replace(rest, means=rest.means + torch.tensor([0.0, 0.0, 0.15]))
    straight = orbit(ball, cameras, 8, 48, 48)
    assert float(free_shares(ball, risen, straight).min()) < FREE
    torch.testing.assert_close(orbit(ball, cameras, 8, 48, 48, risen).centers, straight.centers)


def test_where_no_way_is_free_that_is_said(capsys):
    scene = ball_on_floor()
    ball = scene.subset(torch.arange(BALL))
    shell = replace(ball, means=1.5 * ball.means, log_scales=torch.full((BALL, 3), 0.12).log())
    orbit(ball, capture_cameras(), 8, 48, 48, shell)
    assert "no free way around the object" in capsys.readouterr().out


def test_a_turntable_shows_before_and_after_side_by_side(run_folder, monkeypatch):
    ft2s(monkeypatch, "turntable", run_folder, "--before", "--seconds", "0.25", "--size", "48")
    with av.open(str(run_folder / "exports" / "turntable.mp4")) as video:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]).astype(float)
    assert frames.shape == (6, 48, 96, 3)
    middle = slice(20, 28)
    before, after = frames[:, middle, 20:28].mean(axis=(0, 1, 2)), frames[:, middle, 68:76].mean(axis=(0, 1, 2))
    assert after[2] - after[0] > 100 and abs(before[2] - before[0]) < 30, "grey before, blue after"
