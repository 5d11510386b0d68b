"""ft2s select: every way to choose the ball of a small run, files that ns-train takes, and errors in words."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from fasttext2style.cli import entrypoint
from fasttext2style.evaluation.object_pictures import RULER
from fasttext2style.plugin.runs.run import open_run
from fasttext2style.plugin.viewer.show import shown
from fasttext2style.scene.rasterize import render, render_values
from fasttext2style.selection.picking import pick
from fasttext2style.selection.selection import Selection
from tests.plugin.hosts import BALL, ball_on_floor, capture_cameras, make_capture, scene_config, train
from tests.plugin.tab import Tab


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    capture = make_capture(folder / "capture", masks=True)
    run_folder = train(scene_config(capture, folder / "outputs", steps=10)).base_dir
    # Ten steps make no solid scene; the capture was made from this one.
    open_run(run_folder).save(gaussians=ball_on_floor())
    return run_folder


@pytest.fixture
def ft2s_select(run_folder, monkeypatch):
    """Run the command, return the selection."""

    def run(*arguments) -> Selection:
        output = run_folder / "selections" / "object.npz"
        output.unlink(missing_ok=True)
        monkeypatch.setattr(sys, "argv", ["ft2s", "select", str(run_folder), *map(str, arguments)])
        entrypoint()
        return Selection.load(output)

    return run


def share(selection: Selection) -> tuple[float, float]:
    """Of the ball, and of the floor, that is selected."""
    return selection.weights[:BALL].mean().item(), selection.weights[BALL:].mean().item()


def iou(selection: Selection, rows: slice) -> float:
    """Of the selected Gaussians and those that should be."""
    expected = torch.zeros(len(selection), dtype=torch.bool)
    expected[rows] = True
    return ((selection.mask & expected).sum() / (selection.mask | expected).sum()).item()


WAYS = {
    "clicks": ["--by", "clicks", "--click", 0, 24, 22, "--click", 5, 24, 22, "--not-click", 0, 7, 40],
    "one click": ["--click", 0, 24, 22],
    "rectangle": ["--by", "rectangle", "--rectangle", 0, 12, 10, 36, 34],
    "sphere": ["--by", "sphere", "--radius", 0.34],
    "box": ["--by", "box", "--size", 0.65, 0.65, 0.65],
    "color": ["--by", "color", "--click", 0, 24, 22],
    "masks": ["--by", "masks", "--object-masks", "MASKS"],
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_finds_the_ball(ft2s_select, run_folder, way):
    masks = run_folder.parents[3] / "capture" / "masks"
    selection = ft2s_select(*[masks if argument == "MASKS" else argument for argument in WAYS[way]])
    ball, floor = share(selection)
    # A rectangle selects what is seen in front: half of the ball.
    assert ball > (0.3 if way == "rectangle" else 0.85)
    assert floor < 0.1


def test_a_rectangle_finds_what_it_is_drawn_around(ft2s_select):
    """Of the ball, then of its left half."""
    assert iou(ft2s_select("--by", "rectangle", "--rectangle", 0, 10, 9, 38, 38), slice(0, BALL)) > 0.8
    left = ft2s_select("--by", "rectangle", "--rectangle", 0, 10, 9, 24, 38).mask
    camera = capture_cameras()[0]
    there = ball_on_floor().means @ camera.viewmats[0, :3, :3].T + camera.viewmats[0, :3, 3]
    columns = there[:, 0] / there[:, 2] * camera.Ks[0, 0, 0] + camera.Ks[0, 0, 2]
    in_front = (there[:, 2] < 1.3) & (torch.arange(len(there)) < BALL)
    assert left[in_front & (columns < 22)].float().mean() > 0.9
    assert not left[columns > 26].any()


@pytest.mark.parametrize("text, rows", [("green", slice(BALL, None)), ("grey", slice(0, BALL))])
def test_a_text_finds_what_it_names(ft2s_select, text, rows):
    """By the packaged encoder, which knows colours: the floor is green, the ball is grey."""
    selection = ft2s_select("--by", "text", "--text", text, "--segmenter", "encoder")
    assert iou(selection, rows) > 0.7
    assert f"text '{text}' found in" in selection.origin


def test_selections_are_combined_weight_by_weight(ft2s_select, tmp_path):
    """Union is the larger weight, intersection the smaller, minus the smaller of what was there and what is left."""
    before, now = torch.rand(2, 300)
    Selection(before, "before").save(tmp_path / "before.npz")
    Selection(now, "now").save(tmp_path / "now.npz")
    combined = {
        "union": torch.where(before > now, before, now),
        "intersect": torch.where(before < now, before, now),
        "minus": torch.where(before < 1 - now, before, 1 - now),
    }
    files = ("--file", tmp_path / "now.npz", "--existing", tmp_path / "before.npz", "--views", 0)
    for how, expected in combined.items():
        assert torch.equal(ft2s_select(*files, "--combine", how).weights, expected), how


def test_selections_are_changed_in_the_order_of_the_help(ft2s_select, tmp_path):
    """Above 0.6; taken from what there was; within 0.1 of what is left, the nearest one's weight; inverted."""
    before, now = torch.rand(2, 300)
    Selection(before, "before").save(tmp_path / "before.npz")
    Selection(now, "now").save(tmp_path / "now.npz")
    selection = ft2s_select(
        *("--file", tmp_path / "now.npz", "--existing", tmp_path / "before.npz", "--views", 0),
        *("--threshold", 0.6, "--combine", "minus", "--grow", 0.1, "--invert"),
    )
    left = torch.where(now > 0.6, torch.zeros(300), before)
    apart = torch.cdist(*[ball_on_floor().means.double()] * 2)
    expected, rows = left.clone(), left.nonzero()[:, 0]
    for row in (left == 0).nonzero()[:, 0].tolist():
        distance, nearest = apart[row, rows].min(dim=0)
        if distance <= 0.1:
            expected[row] = left[rows[nearest]]
    assert (expected != left).sum() > 20
    assert torch.equal(selection.weights, 1 - expected)


def test_a_run_may_be_named_by_its_config(run_folder, monkeypatch):
    output = run_folder / "selections" / "object.npz"
    output.unlink(missing_ok=True)
    words = ["--by", "sphere", "--radius", "0.33", "--views", "0"]
    monkeypatch.setattr(sys, "argv", ["ft2s", "select", str(run_folder / "config.yml"), *words])
    entrypoint()
    assert Selection.load(output).count == BALL


def test_a_picture_shows_what_is_selected(ft2s_select, run_folder):
    """Four views side by side: as the scene looks, but for the ball."""
    ft2s_select("--by", "sphere", "--radius", 0.34)
    scene, views = ball_on_floor(), open_run(run_folder).cameras().evenly(4)
    picture = torch.from_numpy(np.asarray(Image.open(run_folder / "selections" / "object.png")).copy()).float() / 255
    assert picture.shape == (48, 4 * 48, 3)
    plain = torch.cat(list(render(scene, views)[0].clamp(0, 1)), dim=1)
    is_ball = (torch.arange(len(scene)) < BALL).float()[:, None]
    ball = torch.cat(list(render_values(scene, views, is_ball)[0][..., 0]), dim=1)
    changed = (picture - plain).abs().amax(dim=-1) > 0.02
    assert changed[ball > 0.5].float().mean() > 0.99
    around = torch.nn.functional.max_pool2d(ball[None, None], 5, 1, 2)[0, 0]
    assert (around < 0.01).float().mean() > 0.2 and not changed[around < 0.01].any()


def test_a_selection_that_looks_wrong_is_questioned(ft2s_select, capsys):
    ft2s_select("--by", "sphere", "--radius", 0.34)
    assert "The object is very small: 150 of 300 Gaussians" in " ".join(capsys.readouterr().out.split())


def test_views_are_drawn_with_their_numbers_and_pixels(run_folder, tmp_path, monkeypatch, capsys):
    """What a ruler says is the pixel that a click takes."""
    sheet = tmp_path / "views.png"
    monkeypatch.setattr(sys, "argv", ["ft2s", "views", str(run_folder), "-o", str(sheet), "--only", "5", "0"])
    entrypoint()
    run = open_run(run_folder)
    said = " ".join(capsys.readouterr().out.split())
    assert f"2 of {len(run.cameras())} training views of 48 x 48 pixels: {sheet}" in said
    picture = np.asarray(Image.open(sheet)).astype(int)
    for tile, number in enumerate((5, 0)):
        shown = picture[2 * RULER : 2 * RULER + 48, tile * (48 + RULER + 8) + RULER :][:, :48]
        expected = render(run.gaussians(), run.cameras()[number])[0][0].clamp(0, 1) * 255
        assert np.abs(shown - expected.round().int().numpy()).max() <= 1
    monkeypatch.setattr(sys, "argv", ["ft2s", "views", str(run_folder), "--only", "99"])
    with pytest.raises(SystemExit):
        entrypoint()
    assert "There is no view 99" in capsys.readouterr().out


def test_what_makes_no_sense_is_said(ft2s_select, capsys, tmp_path):
    np.save(tmp_path / "other.npy", np.ones(7, np.float32))
    for arguments, words in [
        (["--by", "clicks"], "takes a point on the object"),
        (["--click", 99, 3, 3], "no view 99: the capture has training views 0 to"),
        (["--click", 0, 3, 2], "Nothing solid there"),
        (["--by", "text"], "takes one: --object-text"),
        (["--by", "sphere", "--combine", "union"], "need each other"),
        (["--by", "sphere", "--center", 50, 0, 0], "Nothing is left of sphere"),
        (["--file", tmp_path / "other.npy"], "7 weights but the scene has 300"),
        (["--file", tmp_path], "is a folder; expected a .npy or .npz of 300 weights"),
        (["--rectangle", 0, "nan", 0, 9, 9], "--rectangle takes numbers"),
        (["--by", "sphere", "--center", 0, "nan", 0], "--center takes numbers"),
        (["--by", "box", "--yaw-degrees", "nan"], "--yaw-degrees takes numbers"),
        (["--by", "sphere", "--grow", "inf"], "--grow is a distance in scene units"),
        (["--by", "sphere", "--object-masks", tmp_path], "chosen by sphere, so --object-masks would say nothing"),
        (["--by", "sphere", "--views", -3], "--views counts those in the picture"),
        (["--by", "sphere", "-o", tmp_path / "other.npy" / "a.npz"], "cannot be written (File exists)"),
        (["--combine", "union", "--existing", tmp_path / "none.npz"], "none.npz does not exist; expected"),
        (
            ["--text", "the ball", "--segmenter", ""],
            "The name of the segmenter is empty: leave its option out, or give one",
        ),
    ]:
        with pytest.raises(SystemExit):
            ft2s_select(*arguments)
        assert words in " ".join(capsys.readouterr().out.split())


def test_show_opens_the_scene_with_the_object_marked_and_a_click_says_where_it_is(run_folder, capsys):
    """A click on the ball in the viewer becomes a --click that finds the ball; nothing in the run changes."""
    before = {path: path.stat().st_mtime_ns for path in run_folder.rglob("*")}
    run = open_run(run_folder)
    scene, ball = run.gaussians(), torch.zeros(len(ball_on_floor()))
    ball[:BALL] = 1.0
    camera = run.pipeline.datamanager.train_dataset.cameras[:1]
    plain = run.model.get_outputs_for_camera(camera)["rgb"]
    with shown(run.pipeline, run_folder, scene, ball) as viewer:
        tab = Tab(viewer.server)
        numbers = {name for name in tab.nodes if "number" in name}
        tab.until(lambda: len({name for name in tab.nodes if "number" in name}) == len(run.cameras()), f"{numbers}")
        difference = (run.model.get_outputs_for_camera(camera)["rgb"] - plain).abs().amax(dim=-1)
        covered = render_values(scene, run.cameras()[0], ball[:, None])[0][0, ..., 0]
        assert float(difference[covered > 0.9].mean()) > 0.05 and float(difference[covered == 0].max()) == 0
        capsys.readouterr()
        tab.click(0.5, 0.5)
        said = ""

        def told() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return "--click" in said

        tab.until(told, "the click to be said")
        tab.close()
    view, x, y = said.split("--click")[1].split()[:3]
    picked = pick(scene, run.cameras()[int(view)], float(x), float(y))
    assert picked.row < BALL
    assert {path: path.stat().st_mtime_ns for path in run_folder.rglob("*")} == before


def test_show_stays_until_ctrl_c(ft2s_select, capsys):
    said = ""

    def stop():
        nonlocal said
        while "Ctrl-C ends" not in said:
            time.sleep(0.1)
            said += capsys.readouterr().out
        os.kill(os.getpid(), signal.SIGINT)

    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    assert share(ft2s_select("--click", 0, 24, 22, "--show"))[0] > 0.85
    stopper.join(60)
    assert "http://127.0.0.1:" in said
